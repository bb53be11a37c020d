#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "config/result.hpp"
#include "model/singular_delta.hpp"
#include "model/training_batch.hpp"

namespace t2 {

class language_model;

struct svf_gradient {
  double loss = 0;            // sum over rows
  at::Tensor grad_d;          // float32 [layout.total()]: ∂loss/∂d
  std::vector<double> log_probabilities;  // Σ_i log p for each row
};

/// Forward and backward through the base with singular deltas d. The step runs
/// on one dense W' of the current d beside the base; of a full weight no
/// gradient is kept: ∂L/∂d = Σ_b (XV ⊙ GU)_b, or diag(Uᵀ(GᵀX)V) where that is
/// cheaper (one temporary). The engine's thread only.
class svf_trainer_model {
 public:
  /// Loads the SVD of the layout's projections from the cache of `model`.
  static result<std::unique_ptr<svf_trainer_model>> make(
      std::shared_ptr<language_model> model,
      std::shared_ptr<const svf_layout> layout);
  ~svf_trainer_model();

  /// Materialises W' for d (float32 [layout.total()]).
  void set_delta(const at::Tensor& d);

  /// Loss and its gradient under the current d, rows packed under
  /// `tokens_per_pass` tokens a pass and added up in a fixed order.
  result<svf_gradient> loss_and_gradient(std::span<const training_row> rows,
                                         std::int64_t tokens_per_pass) const;

  /// The loss alone.
  result<svf_gradient> loss(std::span<const training_row> rows,
                            std::int64_t tokens_per_pass) const;

  /// Singular values of all projections: float32 [layout.total()].
  const at::Tensor& singular_values() const;

 private:
  svf_trainer_model();
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace t2
