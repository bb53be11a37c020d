#pragma once

#include <ATen/Context.h>
#include <c10/core/Device.h>

#include <exception>
#include <string>
#include <vector>

#include "model/device.hpp"

namespace t2 {

/// What this machine can compute on: the CPU, and a GPU where LibTorch's CUDA
/// library is installed and finds one.
inline std::vector<std::string> test_devices() {
  std::vector<std::string> devices{"cpu"};
  if (!open_device("cuda")) return devices;
  try {
    if (at::hasCUDA()) devices.emplace_back("cuda");
  } catch (const std::exception&) {
    // The library is there, a driver is not.
  }
  return devices;
}

inline c10::Device test_device(const std::string& name) {
  return *open_device(name);
}

}  // namespace t2
