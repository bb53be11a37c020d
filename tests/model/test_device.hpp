#pragma once

#include <c10/core/Device.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/device.hpp"

namespace t2 {

/// The device of T2_TEST_DEVICE (cpu, cuda), or null where none is named.
inline const char* named_test_device() { return std::getenv("T2_TEST_DEVICE"); }

/// What this machine can compute on: the CPU, and a GPU where LibTorch's CUDA
/// library is installed and finds one. A device that is named stands alone and
/// is not looked for: where it is missing, its tests fail.
inline std::vector<std::string> test_devices() {
  if (const char* named = named_test_device()) {
    (void)open_device(named);  // before a test asks ATen for anything
    return {named};
  }
  std::vector<std::string> devices{"cpu"};
  if (open_device("cuda")) devices.emplace_back("cuda");
  return devices;
}

inline c10::Device test_device(const std::string& name) {
  const auto device = open_device(name);
  if (!device) throw std::runtime_error(device.error().message);
  return *device;
}

}  // namespace t2
