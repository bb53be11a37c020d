#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "adaptation/expert.hpp"
#include "adaptation/mixture.hpp"
#include "config/result.hpp"
#include "model/singular_delta.hpp"

namespace t2 {

/// The experts that mixtures may draw from, all of one base and norm, ready to
/// be combined. What an expert does not adapt it leaves as it is: z = 1, e = 0.
/// K experts, P projections. Immutable; any thread.
class expert_pool {
 public:
  /// `layout` has what any of them adapts; `singular_values`: float32
  /// [layout->total()]. ec::incompatible names the
  /// two experts that do not go together; ec::invalid_argument: none, or one
  /// whose ⟨s, z⟩ ≤ 0.
  static result<expert_pool> make(std::vector<expert_ref> experts,
                                  std::shared_ptr<const svf_layout> layout,
                                  const at::Tensor& singular_values);

  const std::vector<expert_ref>& experts() const { return experts_; }
  const svf_layout& layout() const { return *layout_; }

  /// The singular delta of α, K × P' row by row with P' = 1 or P. Null (the
  /// base) where nothing changes. ec::invalid_argument: another length, α not
  /// finite, or under `paper` and nuclear ⟨s, z'⟩ ≤ 0.
  result<delta_ref> compose(mixture_rule rule,
                            std::span<const float> alpha) const;

  /// The same for a stored mixture; its experts are looked up by name and
  /// version (ec::not_found).
  result<delta_ref> compose(const mixture& m) const;

  /// A delta's control (paper section 4.4): its steps e = d / s in another order
  /// within each projection. As large, and meaning nothing. The same for the
  /// same seed on every machine.
  delta_ref control_of(const singular_delta& delta, std::uint64_t seed) const;

  /// α as a mixture. Experts whose α are all 0 are left out under `delta`;
  /// under it nothing left is the base.
  mixture describe(mixture_rule rule, std::span<const float> alpha) const;

 private:
  expert_pool() = default;
  std::vector<expert_ref> experts_;
  std::shared_ptr<const svf_layout> layout_;
  at::Tensor s_;       // [total]
  at::Tensor z_, e_;   // [K, total]
};

}  // namespace t2
