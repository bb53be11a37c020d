#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "config/result.hpp"
#include "model/adapted_linears.hpp"
#include "model/answer_loss.hpp"
#include "model/fused_pass.hpp"
#include "model/kl_divergence.hpp"
#include "model/training_batch.hpp"

namespace t2 {

class language_model;

/// Of some rows under the current values.
struct training_loss {
  double loss = 0;  // as training_row says, over all rows
  std::vector<double> log_probabilities;  // of each row: Σ_i log p
  std::vector<double> divergences;  // of each row: Σ_i KL_i, 0 without weight
  at::Tensor gradient;              // float32 [values]; unset without one
};

/// Forward and backward through a base with adapted linears. The engine's
/// thread only.
class trainer_model {
 public:
  trainer_model(std::shared_ptr<language_model> model,
                std::unique_ptr<adapted_linears> linears,
                kl_direction direction = kl_direction::policy_base);
  ~trainer_model();

  /// Whether passes run as autograd records them, also where the fused ones
  /// could (tests, benchmarks).
  void force_graph(bool graph) { forced_graph_ = graph; }

  const adapted_linears& linears() const { return *linears_; }
  /// Puts the values (float32 [linears().size()], CPU) into the model.
  void set(const at::Tensor& values) { linears_->set(values); }

  /// Rows are packed under `tokens_per_pass` tokens a pass and added up in a
  /// fixed order.
  result<training_loss> loss_and_gradient(std::span<const training_row> rows,
                                          std::int64_t tokens_per_pass);
  /// The loss alone.
  result<training_loss> loss(std::span<const training_row> rows,
                             std::int64_t tokens_per_pass);

 private:
  void run(std::span<const training_row> rows,
           std::span<const std::size_t> chosen, bool with_gradient,
           training_loss& out);
  answer_loss run_graph(const packed_rows& batch, bool with_base,
                        bool with_gradient);
  answer_loss run_fused(std::span<const training_row> rows,
                        std::span<const std::size_t> chosen,
                        const packed_rows& batch, bool with_base,
                        bool with_gradient);
  result<training_loss> run_all(std::span<const training_row> rows,
                                std::int64_t tokens_per_pass,
                                bool with_gradient);

  loss_head head() const;

  std::shared_ptr<language_model> model_;
  std::unique_ptr<adapted_linears> linears_;
  base_linears base_;
  kl_direction direction_;
  bool forced_graph_ = false;
  fused_pass fused_;
  at::Tensor head_vh_;  // the base's
};

}  // namespace t2
