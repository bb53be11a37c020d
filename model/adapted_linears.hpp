#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "model/adapted_weights.hpp"
#include "model/svf_linear.hpp"
#include "model/training_graph.hpp"

namespace t2 {

class transformer;

/// A set of trained values on top of a base's projections, as one flat vector:
/// d of SVF, A and B of LoRA. Every step runs on one dense W' of the current
/// values beside the base; of a full weight no gradient is kept. The engine's
/// thread.
///
/// Letters: B rows of a pass, M outputs, N inputs, R rank.
class adapted_linears : public trainable_linears {
 public:
  ~adapted_linears() override;
  adapted_linears(const adapted_linears&) = delete;
  adapted_linears& operator=(const adapted_linears&) = delete;

  virtual std::int64_t size() const = 0;
  /// Puts float32 [size()] (CPU) into the model.
  virtual void set(const at::Tensor& values) = 0;

  /// What rollouts run under.
  const adapted_weights& dense() const { return dense_; }
  /// W' of the head, [V, H] in the compute type; undefined where it is the
  /// base's.
  const at::Tensor& head() const { return weight_mn_.back(); }
  /// Adds to the gradient what the logits' gradient d_logits_av says under an
  /// adapted head. hidden_ah: its input.
  void head_backward(const at::Tensor& hidden_ah,
                     const at::Tensor& d_logits_av) const;
  /// Whether looked-up rows are not the base's.
  virtual bool adapts_embedding() const { return false; }

  void zero_gradient() { gradient_.zero_(); }
  /// float32 [size()], of all backward passes since zero_gradient().
  at::Tensor gradient() const;

  at::Tensor apply(std::int64_t layer, projection_kind kind,
                   const at::Tensor& x_bn) const override;
  std::vector<at::Tensor> apply_all(std::int64_t layer,
                                    std::span<const projection_kind> kinds,
                                    const at::Tensor& x_bn) const override;

  // What apply_all() records, for a pass that is written out (fused_pass).
  /// A linear of the transformer under W': [B, M of its parts].
  at::Tensor run(std::size_t linear, const at::Tensor& x_bn) const;
  /// Adds to the gradient what the output's gradient g_bm says, and returns
  /// the input's.
  at::Tensor run_backward(std::size_t linear, const at::Tensor& x_bn,
                          const at::Tensor& g_bm) const;

 protected:
  adapted_linears(transformer& net, std::int64_t size);

  /// Whether a part of a linear is adapted.
  virtual bool adapts(std::size_t linear, std::size_t part) const = 0;
  /// Adds what one part's rows say to gradient_. x_bn: its input; g_bm: the
  /// loss's gradient of its output.
  virtual void accumulate(std::size_t linear, std::size_t part,
                          const at::Tensor& x_bn,
                          const at::Tensor& g_bm) const = 0;
  /// W' of a linear's parts, one after the other, in the compute type.
  void replace(std::size_t linear, const at::Tensor& weight_mn);

  transformer& net_;
  at::Tensor gradient_;  // float32 [size()]; parts are views
  adapted_weights dense_;

 private:
  struct recorded;
  std::vector<at::Tensor> weight_mn_;  // plain, of each linear
};

/// The base's own projections: what a policy is compared with.
class base_linears : public trainable_linears {
 public:
  explicit base_linears(transformer& net) : net_(net) {}
  at::Tensor apply(std::int64_t layer, projection_kind kind,
                   const at::Tensor& x_bn) const override;
  std::vector<at::Tensor> apply_all(std::int64_t layer,
                                    std::span<const projection_kind> kinds,
                                    const at::Tensor& x_bn) const override;

 private:
  transformer& net_;
};

}  // namespace t2
