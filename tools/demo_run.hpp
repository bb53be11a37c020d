#pragma once

#include <functional>
#include <string>

#include "config/options.hpp"
#include "config/result.hpp"
#include "http/json.hpp"
#include "tools/demo_story.hpp"
#include "tools/interrupt.hpp"

namespace t2 {

struct demo_settings {
  loaded_options options;  // model, store and socket are set
  demo_story story;
  std::size_t queries = 40;  // of the stream
};

/// The whole story: decompose, import experts and measure each, route queries
/// that name no task, register a task of an unseen kind by its shots, adapt,
/// measure on other questions beside the base, the shots in the prompt and
/// shuffled experts, a stream of queries, and all of it a second time from the
/// store. `tell` hears lines as they come; the figures come back as JSON.
result<ordered_json> run_demo(
    const demo_settings& settings, const interrupt& signals,
    const std::function<void(const std::string&)>& tell);

}  // namespace t2
