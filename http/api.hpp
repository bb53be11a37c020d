#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "actors/client.hpp"
#include "config/options.hpp"
#include "http/router.hpp"

namespace t2 {

/// What the paths under /v1 need besides the actors.
struct api_options {
  search_options search = {};  // where a request leaves them out
  /// Seconds since 1970, for answers.
  std::function<std::int64_t()> now = {};
};

/// Every path of docs/formats.md. `actors` must outlive all that the router is
/// given to, and be stopped after it.
router make_api(client& actors, api_options options = {});

}  // namespace t2
