#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "adaptation/leak_guard.hpp"
#include "adaptation/query.hpp"
#include "config/options.hpp"
#include "config/result.hpp"
#include "model/adapted_linears.hpp"
#include "model/training_batch.hpp"

namespace t2 {

class language_model;

/// What a step learns from, or a validation looks at.
struct gathered_rows {
  /// With weights such that the loss is their weighted sum.
  std::vector<training_row> rows = {};
  /// Of sampled answers; those that weigh nothing have no row.
  std::int64_t answers = 0;
  double reward = 0;  // mean
  double length = 0;  // mean, in tokens
  /// Of a validation: what the answers are like, as JSON (answer_report).
  std::string report = {};
};

/// What an expert is trained towards. Steps count from 0. The engine's thread.
class training_objective {
 public:
  virtual ~training_objective() = default;
  virtual std::string_view name() const = 0;
  /// SHA-256 of what the objective learns from; a run resumes on the same.
  virtual const std::string& data_hash() const = 0;
  /// The prompts that it learns from and chooses by.
  virtual const seen_prompts& seen() const = 0;
  /// Whether bare prompts of the data go through the model's chat template.
  virtual bool chat_prompts() const = 0;
  /// Whether rows are held out; else the last step is the best.
  virtual bool validates() const = 0;

  /// Begins to gather the rows of a step; they depend on (step, seed) and, for
  /// an objective that samples, on the policy.
  virtual result<void> begin_step(std::int64_t step) = 0;
  /// Begins to gather the rows held out. Their loss (next-token: of the
  /// answers; reinforce: the divergence from the base), and before it their
  /// mean reward, choose the best step.
  virtual result<void> begin_validation() = 0;
  /// A slice of it under the policy; nothing while there is more to do.
  virtual result<std::optional<gathered_rows>> gather(
      language_model& model, const adapted_linears& policy) = 0;
};

/// By spec.objective; ec::invalid_argument names the known ones.
result<std::unique_ptr<training_objective>> make_objective(
    const std::shared_ptr<const language_model>& model,
    const training_spec& spec,
    const reward_options& rewards = {});

}  // namespace t2
