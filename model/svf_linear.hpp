#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "config/result.hpp"
#include "model/base_weight.hpp"
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

/// The projections that read the same input (q k v; o; gate up; down of a
/// layer; the head) as one linear map, with what the plans need beside W: the
/// factors U, s, V of those that a layout has adapted.
///
/// Letters: T rows, N inputs, M outputs of all projections together, R the
/// ranks of those with factors together, G distinct deltas.
class svf_linear {
 public:
  struct part {
    projection where;
    weight_reader weight_mn;  // as stored
    at::Tensor bias_m;     // may be undefined
  };
  svf_linear(std::vector<part> parts, c10::ScalarType dtype, c10::Device device,
             const kernels::backend& backend);

  const std::vector<projection>& parts() const { return parts_; }
  std::size_t part_of(projection_kind kind) const;
  std::int64_t base_bytes() const { return base_->bytes(); }

  /// Loads U, s and V of the parts that the layout adapts out of the cache
  /// (decomposing what it lacks). True: there were some to load.
  result<bool> load_factors(const svf_layout& layout, const svd_cache& cache,
                            const checkpoint& weights);

  /// The same with factors at hand, one for each part: float32, on the CPU.
  void set_factors(std::vector<svd_factors> factors);

  /// The parts with factors, and their ranks together.
  const std::vector<projection>& factored() const { return factored_; }
  std::int64_t ranks() const { return ranks_; }

  /// W' = W + U diag(d) Vᵀ for the d of factored() in one vector [R].
  linear_weight materialise(const at::Tensor& d_r) const;
  /// The same, one plain matrix for each part, in the compute type.
  std::vector<at::Tensor> materialise_plain(const at::Tensor& d_r) const;
  /// W of a part as stored, on the device.
  at::Tensor decode(std::size_t i) const { return base_->decode(i); }
  /// W of all parts as one plain matrix in the compute type.
  at::Tensor plain() const;

  at::Tensor apply_base(const at::Tensor& x_tn) const;
  at::Tensor apply_dense(const at::Tensor& x_tn, const linear_weight& w) const;
  at::Tensor apply_factored(const at::Tensor& x_tn, const at::Tensor& d_gr,
                            std::span<const std::int32_t> rows) const;
  /// Rows before `first` are the base's. `thin`: only these directions move;
  /// the weights are off by what d has in the others (‖ΔW‖² = Σ d²).
  at::Tensor apply_delta(const at::Tensor& x_tn, const at::Tensor& d_gr,
                         std::span<const std::int32_t> rows, std::int64_t first,
                         const thin_factors* thin = nullptr) const;

  /// Of each factored part the `rank` directions in which a row of d_gr moves
  /// most.
  thin_factors thin(const at::Tensor& d_gr, std::int64_t rank) const;

  /// Factors of one part as cached: float32, on the CPU; undefined without.
  const svd_factors& factors(std::size_t i) const { return factors_[i]; }

 private:
  at::Tensor with_bias(at::Tensor y_tm) const;
  bool all_factored() const { return factored_.size() == parts_.size(); }
  /// ((x V) ⊙ (shift + d)) Uᵀ of the factored parts, [T, their outputs].
  at::Tensor low_rank(const at::Tensor& x_tn, const at::Tensor& d_gr,
                      const at::Tensor& shift_r,
                      std::span<const std::int32_t> rows) const;
  /// Adds the factored parts' outputs where they stand in y.
  void add_to(at::Tensor y_tm, const at::Tensor& low_rank) const;

  std::vector<projection> parts_;
  c10::ScalarType dtype_;
  c10::Device device_;
  const kernels::backend* backend_;  // of the device and type
  std::shared_ptr<const base_weight> base_;
  at::Tensor bias_m_;
  std::vector<svd_factors> factors_;   // of each part
  std::vector<projection> factored_;
  std::int64_t ranks_ = 0;
  linear_weight v_;                // [R, N]
  std::vector<linear_weight> u_;   // [M, R] of each factored part
  at::Tensor s_r_;                 // float32
};

}  // namespace t2
