#pragma once

#include <string>

namespace t2 {

/// Of this build: `0.1.0`.
inline std::string version() {
  return T2_VERSION;
}

}  // namespace t2
