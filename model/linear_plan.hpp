#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "model/singular_delta.hpp"

namespace t2 {

/// How a linear map runs under singular deltas; all give the same up to
/// rounding (tests/model/linear_plan_test.cpp).
///   base      W x
///   dense     W' x, W' materialised once and kept (one hot mixture)
///   factored  ((x V) ⊙ (s + d)) Uᵀ: no W at all, any number of mixtures
///   delta     W x + ((x V) ⊙ d) Uᵀ: rows of the base pay nothing more
///   grouped_dense  the dense plan for the rows of each mixture by themselves
enum class linear_plan : std::uint8_t {
  base, dense, factored, delta, grouped_dense
};

std::string_view to_string(linear_plan plan);

/// Rows [begin, end) of a step that run under one delta; −1: the base.
struct delta_run {
  std::int64_t begin = 0, end = 0;
  std::int32_t delta = -1;
};

/// The deltas of one step's rows, laid out for the linear maps. One thread.
class step_deltas {
 public:
  /// `counts[i]` consecutive rows run under `deltas[i]`.
  step_deltas(const model_config& config, std::span<const delta_ref> deltas,
              std::span<const std::int64_t> counts, c10::Device device);

  const std::vector<delta_ref>& distinct() const { return distinct_; }
  const std::vector<delta_run>& runs() const { return runs_; }
  std::span<const std::int32_t> rows() const { return rows_; }
  bool all_base() const { return distinct_.empty(); }
  /// What any of them adapts. Not where all is the base's.
  const svf_layout& layout() const { return *layout_; }
  /// True if one delta (not the base) covers every row.
  bool uniform() const { return runs_.size() == 1 && !all_base(); }
  /// Rows before this one are the base's.
  std::int64_t first_adapted() const { return first_adapted_; }
  /// d of all distinct deltas for these projections, one after the other:
  /// float32 [G, their ranks] on the device, 0 where a projection is not
  /// adapted; undefined where none of them is.
  at::Tensor columns(std::span<const projection> of) const;
  /// Whether columns() would have some.
  bool adapt(std::span<const projection> any_of) const;

 private:
  std::vector<delta_ref> distinct_;
  std::vector<delta_run> runs_;
  std::vector<std::int32_t> rows_;
  std::int64_t first_adapted_ = 0;
  const at::Tensor& stacked() const;

  c10::Device device_;
  std::shared_ptr<const svf_layout> layout_;  // of all; null: the base
  mutable at::Tensor d_gn_;  // [G, layout total], once a plan reads it
};

}  // namespace t2
