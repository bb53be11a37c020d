#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "config/result.hpp"
#include "model/kernels.hpp"
#include "model/linear_plan.hpp"
#include "model/linear_weight.hpp"
#include "model/projection.hpp"
#include "model/svd_cache.hpp"

namespace t2 {

/// Factors of K of a linear map's singular directions, for two thin products.
struct thin_factors {
  at::Tensor index_k;  // which of the map's R
  linear_weight v;     // [K, N]
  linear_weight u;     // [M, K], 0 between parts
};

/// The projections of a layer that read the same input (q k v; o; gate up;
/// down) as one linear map, with what the plans need beside W: the factors U,
/// s, V once a layout uses them.
///
/// Letters: T rows, N inputs, M outputs of all projections together, R their
/// ranks together, G distinct deltas.
class svf_linear {
 public:
  struct part {
    projection where;
    at::Tensor weight_mn;  // as stored in the checkpoint
    at::Tensor bias_m;     // may be undefined
  };
  svf_linear(std::vector<part> parts, c10::ScalarType dtype, c10::Device device,
             const kernels::backend& backend);

  std::int64_t layer() const { return parts_.front().where.layer; }
  projection_kind first_kind() const { return parts_.front().where.kind; }
  std::int64_t ranks() const { return ranks_; }
  std::int64_t base_bytes() const { return base_.bytes(); }
  bool has_factors() const { return v_.defined(); }

  /// Loads U, s and V out of the cache (decomposing what it lacks).
  result<void> load_factors(const svd_cache& cache, const checkpoint& weights);

  /// The same with factors at hand, one for each part: float32, on the CPU.
  void set_factors(std::vector<svd_factors> factors);

  /// W' = W + U diag(d) Vᵀ for the parts' d in one vector [R].
  linear_weight materialise(const at::Tensor& d_r) const;
  /// The same, one plain matrix for each part, in the compute type.
  std::vector<at::Tensor> materialise_plain(const at::Tensor& d_r) const;
  /// W of each part in the compute type.
  std::vector<at::Tensor> plain() const;

  at::Tensor apply_base(const at::Tensor& x_tn) const;
  at::Tensor apply_dense(const at::Tensor& x_tn, const linear_weight& w) const;
  at::Tensor apply_factored(const at::Tensor& x_tn, const at::Tensor& d_gr,
                            std::span<const std::int32_t> rows) const;
  /// Rows before `first` are the base's. `thin`: only these directions move;
  /// the weights are off by what d has in the others (‖ΔW‖² = Σ d²).
  at::Tensor apply_delta(const at::Tensor& x_tn, const at::Tensor& d_gr,
                         std::span<const std::int32_t> rows, std::int64_t first,
                         const thin_factors* thin = nullptr) const;

  /// Of each part the `rank` directions in which a row of d_gr moves most.
  thin_factors thin(const at::Tensor& d_gr, std::int64_t rank) const;

  const std::vector<part>& parts() const { return parts_; }
  /// Factors of one part as cached: float32, on the CPU.
  const std::vector<svd_factors>& factors() const { return factors_; }

 private:
  at::Tensor with_bias(at::Tensor y_tm) const;
  at::Tensor low_rank(const at::Tensor& x_tn, const at::Tensor& d_gr,
                      const at::Tensor& shift_r,
                      std::span<const std::int32_t> rows) const;

  std::vector<part> parts_;
  c10::ScalarType dtype_;
  c10::Device device_;
  const kernels::backend* backend_;  // of the device and type
  std::int64_t ranks_ = 0;
  linear_weight base_;
  at::Tensor bias_m_;
  std::vector<svd_factors> factors_;
  linear_weight v_;                // [R, N]
  std::vector<linear_weight> u_;   // [M of the part, R of the part]
  at::Tensor s_r_;                 // float32
};

}  // namespace t2
