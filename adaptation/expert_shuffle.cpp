#include "adaptation/expert_shuffle.hpp"

#include <ATen/core/Tensor.h>

#include <map>
#include <utility>
#include <vector>

#include "model/safetensors.hpp"

namespace t2 {

result<std::string> shuffle_expert_file(std::string_view file,
                                        std::uint64_t seed) {
  const auto bytes = std::as_bytes(std::span{file});
  const auto parsed = safetensors_file::parse({bytes.begin(), bytes.end()},
                                              "expert to shuffle");
  if (!parsed) return parsed.error();
  std::map<std::string, at::Tensor> shuffled;
  for (const auto& view : parsed->tensors()) {
    auto z = view.tensor().clone();
    if (z.scalar_type() != at::kFloat)
      return error{ec::corrupt, "expert to shuffle: tensor " + view.name +
                                    ": expected float32"};
    auto* values = z.data_ptr<float>();
    for (auto i = static_cast<std::uint64_t>(z.numel()); i > 1; --i) {
      seed += 0x9e3779b97f4a7c15;
      auto x = seed;
      x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
      x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
      std::swap(values[i - 1], values[(x ^ (x >> 31)) % i]);
    }
    shuffled[view.name] = std::move(z);
  }
  const auto out = serialise_safetensors(shuffled, parsed->metadata());
  if (!out) return out.error();
  return std::string(reinterpret_cast<const char*>(out->data()), out->size());
}

}  // namespace t2
