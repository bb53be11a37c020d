#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "adaptation/answer_report.hpp"
#include "adaptation/example.hpp"
#include "adaptation/prompt_form.hpp"
#include "adaptation/prompt_groups.hpp"
#include "config/options.hpp"
#include "config/result.hpp"
#include "config/task_file.hpp"
#include "tools/answer_log.hpp"
#include "tools/api_client.hpp"
#include "tools/interrupt.hpp"

namespace t2 {

/// What is measured on: the lines and, in the same order, as examples.
struct test_set {
  std::vector<task_line> lines;
  std::vector<example> examples;
  prompt_groups prompts;  // which of them ask the same
  std::string sha256;     // of the bytes
};

/// JSONL of prompts with answers, the first `limit` lines of it (0: all).
/// `label` stands for the file in errors.
result<test_set> read_test_set(const std::string& file, std::int64_t limit);

/// ec::incompatible: those behind the answers of `target` have seen one of the
/// prompts, or (unless allowed) do not say what they have seen.
result<void> refuse_what_was_seen(const api_client& api,
                                  const std::string& target,
                                  const test_set& set, bool allow_unrecorded);

struct evaluation_settings {
  ordered_json sampling = ordered_json::object();  // members of the completion
  std::string reward;            // in place of the lines' own; empty: theirs
  reward_options rewards;
  /// How a line's bare prompt is asked; empty: raw.
  std::function<prompt_form(const task_line&)> form = {};
  std::size_t concurrency = 16;  // queries at once
};

/// What each target said to each line, and what it earned, in the lines' order.
using answers_by_target = std::map<std::string, std::vector<judged_answer>>;

/// Asks each line of each target and judges the answers. With `log` each answer
/// is written down, and those that it has are not asked again; ec::incompatible
/// where they answer another prompt or were judged otherwise. Blocks.
result<answers_by_target> answers_of(
    const api_client& api, const interrupt& signals, const test_set& set,
    const std::vector<std::string>& targets,
    const evaluation_settings& settings, answer_log* log = nullptr,
    const std::function<void(std::size_t)>& on_done = [](std::size_t) {});

/// What the answers of `of` are like, judged as `settings` says.
result<answer_report> report_on(const test_set& set,
                                const evaluation_settings& settings,
                                const std::vector<judged_answer>& of);

/// 1 where an answer is right, else 0.
std::vector<double> right_of(const std::vector<judged_answer>& answers);

/// The share that is right, over prompts, with its bootstrap interval and, where
/// it is compared with another on the same lines, the paired gain.
ordered_json accuracy_form(const std::vector<double>& right,
                           const prompt_groups& prompts);
ordered_json gain_form(const std::vector<double>& right,
                       const std::vector<double>& right_of_other,
                       const prompt_groups& prompts);

}  // namespace t2
