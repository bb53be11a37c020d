#include "model/device.hpp"

#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include <charconv>
#include <string_view>

namespace t2 {

result<c10::Device> open_device(const std::string& text) {
  if (text == "cpu") return c10::Device{c10::kCPU};
  constexpr std::string_view prefix = "cuda:";
  int index = 0;
  if (text != "cuda") {
    const auto* begin = text.data() + prefix.size();
    const auto* end = text.data() + text.size();
    const bool numbered =
        text.starts_with(prefix) && begin < end &&
        std::from_chars(begin, end, index).ptr == end && index >= 0 &&
        index < 128;
    if (!numbered)
      return error{ec::invalid_argument,
                   "model.device: expected cpu, cuda or cuda:N, found '" +
                       text + "'"};
  }
  // The program links the CPU library alone. ATen looks its CUDA hooks up
  // once, so the library must be there before the first call that asks.
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL))
    return error{ec::unavailable,
                 "model.device: expected LibTorch's CUDA library for '" + text +
                     "' (tools/setup.sh --cuda), found: " + dlerror()};
  // 0 also where there is no driver.
  const int count = at::detail::getCUDAHooks().deviceCount();
  if (index >= count)
    return error{ec::unavailable, "model.device: expected a GPU for '" + text +
                                      "', found " + std::to_string(count) +
                                      " of them"};
  return c10::Device{c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

}  // namespace t2
