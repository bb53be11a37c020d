#pragma once

#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "adaptation/answer_report.hpp"
#include "adaptation/example.hpp"
#include "adaptation/prompt_groups.hpp"
#include "adaptation/query.hpp"
#include "adaptation/reward.hpp"
#include "config/options.hpp"
#include "config/result.hpp"
#include "engine/rollout.hpp"

namespace t2 {

/// An example as a policy is asked it.
struct question {
  example source;
  std::vector<token_id> prompt;
  std::shared_ptr<const reward> judge;
  bool chat_prompt = false;  // a bare prompt, put into the chat template
};

/// Examples whose answers are generated and judged, as `spec` says: its reward
/// for those that name none, at most its max_tokens of prompt, and where it
/// classifies, the prompts of pass 1 (adaptation/label_classifier.hpp).
/// ec::invalid_argument: no reward or one that needs no generated text, an
/// example that it cannot judge, an answer that is no label.
result<std::vector<question>> make_questions(
    std::shared_ptr<const language_model> model, std::vector<example> examples,
    const training_spec& spec, const reward_options& options);

/// Questions of which many sets of answers are told: which of them are copies of
/// each other, and what constants earn on them. The questions outlive it.
class question_set {
 public:
  question_set() = default;
  explicit question_set(std::span<const question> questions);

  const prompt_groups& prompts() const { return prompts_; }
  answer_report report(std::span<const std::string> answers,
                       std::span<const double> rewards) const;

 private:
  std::vector<judged_example> examples_;
  prompt_groups prompts_;
  constant_answers constants_;
};

/// Asks questions under a policy and has the answers judged, on a thread of
/// their own: a reward may run programs. The engine's thread; the questions
/// outlive it.
class rollout_round {
 public:
  /// One answer to each question; its number is its stream from `stream` on.
  /// The same question may come several times, side by side.
  static result<rollout_round> make(const language_model& model,
                                    std::vector<const question*> asked,
                                    sampling_options sampling,
                                    std::uint64_t stream);
  ~rollout_round();
  rollout_round(rollout_round&&) = default;
  rollout_round& operator=(rollout_round&&) = delete;

  /// A slice under `weights` (null: the base); false when all is judged. While
  /// the judge works it waits a few milliseconds, no more.
  result<bool> advance(language_model& model,
                       const adapted_weights* weights);

  const std::vector<rollout>& rollouts() const { return batch_.rollouts(); }
  const std::vector<double>& rewards() const { return rewards_; }
  /// The texts that were judged, once all are.
  const std::vector<std::string>& answers() const { return *answers_; }

 private:
  rollout_round(rollout_batch batch, std::vector<const question*> asked)
      : batch_(std::move(batch)), asked_(std::move(asked)) {}
  result<void> begin_judging(const language_model& model);

  rollout_batch batch_;
  std::vector<const question*> asked_;
  std::shared_ptr<const std::vector<std::string>> answers_;
  std::stop_source stop_;
  std::future<result<std::vector<double>>> judging_;
  std::vector<double> rewards_;
};

}  // namespace t2
