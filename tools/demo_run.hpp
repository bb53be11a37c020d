#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "config/options.hpp"
#include "config/result.hpp"
#include "http/json.hpp"
#include "tools/interrupt.hpp"

namespace t2 {

struct demo_settings {
  loaded_options options;         // model, store and socket are set
  std::filesystem::path experts;  // folder of the expert files
  std::size_t questions = 200;    // of each kind to measure on
  std::size_t queries = 40;
};

/// The whole story on the model that ships with t2: decompose, import experts
/// and measure each, route queries that name no task, register a task of an unseen kind by five examples, adapt,
/// measure on other questions, the same with shuffled experts, a stream of
/// queries, and all of it a second time from the store. `tell` hears lines as they come; the
/// figures come back as JSON.
result<ordered_json> run_demo(
    const demo_settings& settings, const interrupt& signals,
    const std::function<void(const std::string&)>& tell);

}  // namespace t2
