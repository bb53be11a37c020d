#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/task_file.hpp"
#include "http/json.hpp"

namespace t2 {

/// A prompt of a load.
struct load_prompt {
  std::string path;    // of the completion
  ordered_json body;   // `prompt` or `messages`
  std::string target;  // where the load names none
};

/// A streamed completion to ask for.
struct load_request {
  std::string path;
  std::string body;
  std::string target;
  std::size_t prompt = 0;  // which of the plan's
};

/// What a load asks, by number: every target gets the same prompts, in turn.
/// Any thread.
class load_plan {
 public:
  /// `prompts`: at least one. `targets`: empty for those of the prompts.
  /// `common`: members of every body, as `max_tokens`.
  load_plan(std::vector<load_prompt> prompts, std::vector<std::string> targets,
            ordered_json common);

  load_request request(std::size_t number) const;

 private:
  std::vector<load_prompt> prompts_;
  std::vector<std::string> targets_;
  ordered_json common_;
};

/// The prompts of a file of tasks or queries.
std::vector<load_prompt> prompts_of(const std::vector<task_line>& lines);

/// `count` prompts of `words` common words each, the same for the same seed.
std::vector<load_prompt> synthetic_prompts(std::size_t count, std::size_t words,
                                           std::uint64_t seed);

}  // namespace t2
