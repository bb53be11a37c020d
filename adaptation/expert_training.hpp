#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adaptation/answer_report.hpp"
#include "adaptation/expert.hpp"
#include "adaptation/paired_interval.hpp"
#include "adaptation/query.hpp"
#include "adaptation/training_checkpoint.hpp"
#include "adaptation/training_objective.hpp"
#include "config/result.hpp"
#include "engine/engine.hpp"

namespace t2 {

/// Where a run stands, after a step or a validation.
struct training_progress {
  std::int64_t step = 0;  // steps done
  std::int64_t steps = 0;
  double loss = 0;             // of the last step
  validation_score validation;       // the last one measured
  validation_score best_validation;
  double gradient_norm = 0;    // before clipping
  double learning_rate = 0;
  bool sampled = false;        // the objective samples answers: of the last
  double reward = 0;           // step's: their mean reward,
  double divergence = 0;       // Σ_i KL_i of an answer, mean (0 if λ is 0),
  double length = 0;           // and tokens
};

/// Greedy answers of the base and of the chosen parameters to the same
/// questions. Copies of a prompt count as one.
struct test_result {
  std::size_t questions = 0;
  double base_reward = 0, reward = 0;  // means over prompts
  paired_interval difference;          // reward − base_reward, of each prompt
  answer_report base_answers, answers;
};

struct trained_expert {
  expert trained;               // SVF: z of the best step; no name or version
  std::vector<std::byte> file;  // SVF: its expert file
  std::string provenance;       // JSON: objective, data hash, options, seed,
                                // metrics
  std::int64_t best_step = 0;   // 0: nothing beat the base
  validation_score base_validation, best_validation;
  std::map<std::string, test_result> tests;
};

/// Trains one expert, or a LoRA adapter (which is written to spec.output), as a
/// job of the engine, in slices. A run that was stopped or killed and is made
/// again with the same spec and data goes on from its last checkpoint and ends
/// in the same bits on the same machine. Without spec.checkpoint it keeps one of
/// its own in spec.checkpoint_folder, under a hash of the run. The engine's
/// thread, but for make() and, where the engine no longer has it, stop() and
/// discard_own_checkpoint().
class expert_training : public engine_job {
 public:
  /// Reads the checkpoint where there is one: ec::incompatible when it is of
  /// another spec, data or base, ec::corrupt when it does not verify. Test
  /// questions that it would learn from or choose by are ec::incompatible.
  static result<std::shared_ptr<expert_training>> make(
      std::shared_ptr<language_model> model, training_spec spec,
      std::function<void(const training_progress&)> on_progress = {},
      const reward_options& rewards = {});
  ~expert_training() override;

  /// A slice: one packed step of rollouts, or one forward and backward pass.
  bool advance(language_model& model) override;

  /// Ends a run that shall not go on now: writes the checkpoint of where it
  /// stands. The error that outcome() is from here on: ec::cancelled says where
  /// the run stopped and what goes on from there, or ec::io.
  error stop();
  /// What has ended and is kept needs no checkpoint of its own any more.
  void discard_own_checkpoint();

  const training_progress& progress() const;
  /// Step the run was resumed from; 0: from the start.
  std::int64_t resumed_from() const;
  /// Once advance() returned false; before, ec::cancelled names the step it
  /// stopped at.
  result<trained_expert> outcome() const;

 private:
  expert_training();
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace t2
