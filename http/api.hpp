#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "actors/client.hpp"
#include "config/options.hpp"
#include "http/router.hpp"
#include "http/serving_metrics.hpp"

namespace t2 {

/// What the paths under /v1 need besides the actors.
struct api_options {
  search_options search = {};  // where a request leaves them out
  /// Seconds since 1970, for answers.
  std::function<std::int64_t()> now = {};
  /// Where jobs in the background are remembered; empty: nowhere.
  std::filesystem::path jobs_file = {};
  /// What /metrics says of the serving; none: nothing.
  std::shared_ptr<serving_metrics> metrics = {};
};

/// Every path of docs/formats.md. `actors` must outlive all that the router is
/// given to, and be stopped after it.
router make_api(client& actors, api_options options = {});

}  // namespace t2
