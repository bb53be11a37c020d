#pragma once

#include <algorithm>

#include "config/options.hpp"
#include "http/server.hpp"

namespace t2 {

/// The limits of a server that these options ask for.
inline server_limits limits_of(const runtime_options& options) {
  server_limits limits;
  limits.body_bytes =
      static_cast<std::size_t>(options.server.max_body_bytes);
  limits.bodies_bytes = std::max(limits.bodies_bytes, limits.body_bytes);
  return limits;
}

}  // namespace t2
