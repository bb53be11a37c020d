#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adaptation/rollout_round.hpp"
#include "adaptation/training_objective.hpp"
#include "adaptation/training_options.hpp"

namespace t2 {

/// REINFORCE with a leash to the base (paper section 3.2). A step draws
/// `batch` prompts, samples answers to each under the policy, and its loss over
/// the N answers is
///
///     −1/N Σ A log π(answer | prompt) + λ/N Σ Σ_i KL_i
///
/// with an advantage A for each answer and, at each of its tokens, the
/// divergence between policy and base over the whole vocabulary. The gradient
/// of that second sum is taken at the sampled answers: it is not that of the
/// divergence between the two distributions of whole answers. log π is at
/// temperature 1 whatever the answers were drawn at, so the estimate is
/// unbiased at temperature 1 only (and with advantages none or leave-one-out).
///
/// Validation: the mean reward of greedy answers over the prompts held out; ties
/// by their divergence from the base.
class reinforce_objective : public training_objective {
 public:
  reinforce_objective(std::vector<question> training,
                      std::vector<question> held_out, training_spec spec,
                      training_options options, std::string data_hash);

  std::string_view name() const override { return "reinforce"; }
  const std::string& data_hash() const override { return data_hash_; }
  const seen_prompts& seen() const override { return seen_; }
  bool chat_prompts() const override { return chat_prompts_; }
  bool validates() const override { return !validation_.empty(); }
  result<void> begin_step(std::int64_t step) override;
  result<void> begin_validation() override;
  result<std::optional<gathered_rows>> gather(
      language_model& model, const adapted_linears& policy) override;

  /// The rows of judged answers, and what is told of them.
  static gathered_rows learn_from(std::span<const rollout> rollouts,
                                  std::span<const double> rewards,
                                  std::size_t samples, advantage_kind advantage,
                                  double kl_weight);

  /// The divergences of greedy answers and their mean reward, copies of a prompt
  /// as one.
  static gathered_rows measure(std::span<const rollout> rollouts,
                               std::span<const double> rewards,
                               const prompt_groups& prompts);

 private:
  std::vector<question> training_, validation_;
  question_set held_out_;  // validation_
  training_spec spec_;
  training_options options_;
  std::string data_hash_;
  seen_prompts seen_;
  bool chat_prompts_ = false;
  bool validating_ = false;
  std::vector<const question*> asked_;
  std::uint64_t stream_ = 0;
  std::optional<rollout_round> round_;
};

/// Of spec.data and, where given, spec.validation_data: JSONL examples with a
/// reward each, or spec.reward. Without, spec.validation of the prompts are held
/// out with all their copies, chosen by seed. ec::incompatible: validation_data
/// has a prompt of data.
result<std::unique_ptr<reinforce_objective>> make_reinforce_objective(
    const std::shared_ptr<const language_model>& model,
    const training_spec& spec,
    const reward_options& rewards);

}  // namespace t2
