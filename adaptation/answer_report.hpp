#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adaptation/constant_answers.hpp"

namespace t2 {

/// What was said to an example, and what it earned.
struct judged_answer {
  std::string text;
  double reward = 0;
  bool right() const { return reward > 0; }
};

/// How often one class was meant and said. Precision and recall are 0 of none.
struct class_figures {
  std::string name;
  std::size_t meant = 0, said = 0, right = 0;  // answers
  double precision() const;
  double recall() const;
};

/// What a set of answers is like: whether it knows something or says one thing
/// whatever it is asked. Copies of a prompt count as one in means and
/// intervals, each in counts. A plain value.
struct answer_report {
  std::size_t answers = 0, prompts = 0, right = 0;
  std::size_t distinct = 0;
  /// The commonest without white space around them, cut to 80 bytes; equal
  /// counts in the order of their first.
  std::vector<std::pair<std::string, std::size_t>> common;

  struct best_constant {
    std::string text;
    double reward = 0;  // mean over prompts
    std::size_t right = 0;  // prompts
    /// Over the cross-fitted constant; none where no constant is a rival.
    std::optional<paired_interval> gain;
    /// The gain's interval is not above zero, or a constant earns as much.
    bool as_good = false;
  };
  std::optional<best_constant> constant;

  /// Of few and short references; else empty. confusion[i][j]: class i was
  /// meant and j said, where the last j is any other answer.
  std::vector<class_figures> classes;
  std::vector<std::vector<std::size_t>> confusion;

  /// Of answers to `examples`, in their order.
  static answer_report of(std::span<const judged_example> examples,
                          std::span<const judged_answer> answers,
                          const prompt_groups& prompts,
                          const constant_answers& constants);
  /// docs/formats.md, "Answers".
  nlohmann::ordered_json form() const;
  std::string json() const;  // of form()
};

/// An answer without white space around it, cut to 80 bytes.
std::string shown_answer(std::string_view text);
/// The commonest answers as they are shown, with their counts.
std::vector<std::pair<std::string, std::size_t>> commonest(
    std::span<const judged_answer> answers, std::size_t most);

}  // namespace t2
