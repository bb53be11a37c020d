#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "config/result.hpp"
#include "model/adapted_linears.hpp"
#include "model/projection.hpp"

namespace t2 {

/// Singular deltas as what is trained: the values are d, flat over a layout,
/// W' = W + U diag(d) Vᵀ. ∂L/∂d = Σ_b (XV ⊙ GU)_b, or diag(Uᵀ(GᵀX)V) where
/// that is cheaper (one temporary).
class svf_linears : public adapted_linears {
 public:
  /// Loads the SVD of the layout's projections from the cache of the model;
  /// `net` must outlive it. The values are 0, the base.
  static result<std::unique_ptr<svf_linears>> make(
      transformer& net, std::shared_ptr<const svf_layout> layout);

  std::int64_t size() const override { return layout_->total(); }
  void set(const at::Tensor& d) override;
  /// Singular values of all projections: float32 [size()], on the CPU.
  const at::Tensor& singular_values() const { return s_n_; }

  bool adapts_embedding() const override { return embedding_.u_mr.defined(); }
  at::Tensor embed(const at::Tensor& ids_b,
                   const at::Tensor& table_vh) const override;
  void embed_backward(const at::Tensor& ids_b,
                      const at::Tensor& g_bh) const override;

 protected:
  bool adapts(std::size_t linear, std::size_t part) const override;
  void accumulate(std::size_t linear, std::size_t part, const at::Tensor& x_bn,
                  const at::Tensor& g_bm) const override;

 private:
  struct factors {
    at::Tensor u_mr, v_nr;  // in the compute type; undefined: not adapted
    at::Tensor grad_r;      // a view into the gradient
  };

  svf_linears(transformer& net, std::shared_ptr<const svf_layout> layout);

  std::shared_ptr<const svf_layout> layout_;
  std::vector<std::vector<factors>> factors_;  // of each linear's parts
  factors embedding_;                          // of looked-up rows: float32
  std::shared_ptr<const svf_layout> embedding_layout_;
  at::Tensor embedding_d_r_;                   // on the device
  at::Tensor s_n_;
};

}  // namespace t2
