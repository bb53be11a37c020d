#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adaptation/query.hpp"
#include "config/result.hpp"
#include "model/svf_training.hpp"

namespace t2 {

class language_model;

/// What an expert is trained towards. Steps count from 0. The engine's thread.
class training_objective {
 public:
  virtual ~training_objective() = default;
  virtual std::string_view name() const = 0;
  /// SHA-256 of what the objective learns from; a run resumes on the same.
  virtual const std::string& data_hash() const = 0;
  /// The rows of a step with weights such that the step's loss is their
  /// weighted sum. Depends on (step, seed) and, for an objective that samples,
  /// on the current delta.
  virtual result<std::vector<training_row>> rows(std::int64_t step,
                                                 const delta_ref& current) = 0;
  /// Rows held out, with weights such that their loss is the number that
  /// chooses the best step (lower is better). Empty: the last step is best.
  virtual const std::vector<training_row>& validation() const = 0;
};

/// By spec.objective; ec::invalid_argument names the known ones.
result<std::unique_ptr<training_objective>> make_objective(
    const language_model& model, const training_spec& spec);

}  // namespace t2
