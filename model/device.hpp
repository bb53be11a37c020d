#pragma once

#include <c10/core/Device.h>

#include <string>

#include "config/result.hpp"

namespace t2 {

/// cpu, cuda or cuda:N. For the latter two LibTorch's CUDA library is loaded
/// into the process: ec::unavailable where there is none. Whether the machine
/// has such a GPU shows at the first call that uses it.
result<c10::Device> open_device(const std::string& text);

}  // namespace t2
