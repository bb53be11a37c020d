#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adaptation/example.hpp"
#include "config/options.hpp"
#include "config/result.hpp"

namespace t2 {

/// Questions of one kind, with what judges their answers.
struct demo_questions {
  std::vector<example> asked;
  std::string reward;
};

struct demo_expert {
  std::string name;
  std::string grown_on = {};  // where the name does not say it
  std::filesystem::path file;
  demo_questions unseen = {};  // of its kind, none of which it was grown on; or none
};

/// What `t2 demo` tells of one model.
struct demo_story {
  std::string model = {};    // of model.path
  std::string opening = {};   // what the model is, in a line
  std::string greeting = {};  // asked first of all; empty: nothing is
  std::vector<demo_expert> experts = {};
  std::string targets = "all";  // what they adapt
  std::optional<search_options> search = {};  // else the user's
  /// Queries that name no task, and the class that pass 1 should see; may be
  /// none.
  std::vector<std::pair<std::string, std::string>> routed = {};
  std::string stranger = {};  // a query of pass 1 of which no class is known
  std::string task = {};      // of a kind that no expert was grown on
  std::string about = {};
  std::vector<example> shots = {};
  demo_questions others = {};  // of the task
  /// The task is measured with its shots in the prompt too.
  bool tries_prompting = false;
  std::int64_t answer_tokens = 96;
};

/// On the model of 1.4 million parameters in `assets`: experts for math, code
/// and reasoning, and differences as the task.
result<demo_story> miniature_story(const std::filesystem::path& assets,
                                   std::size_t questions);

/// On SmolLM2-135M-Instruct: the experts of `assets`/smollm2, and reviews of
/// products as the task. At most `questions` of each kind.
result<demo_story> smollm2_story(const std::filesystem::path& assets,
                                 std::size_t questions);

}  // namespace t2
