#pragma once

#include <c10/core/Device.h>

#include <string>

#include "config/result.hpp"

namespace t2 {

/// cpu, cuda or cuda:N. For the latter two LibTorch's CUDA library is loaded
/// into the process: ec::unavailable where there is none, and where the machine
/// has no such GPU. Before the first call that asks ATen for a device: ATen
/// remembers that it found none.
result<c10::Device> open_device(const std::string& text);

}  // namespace t2
