#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "config/result.hpp"
#include "model/projection.hpp"

namespace t2 {

/// What an expert or a mixture does to the base: d = s ⊙ e for every adapted
/// projection, W' = W + U diag(d) Vᵀ (paper section 3.1; e = ν z − 1). d = 0 is
/// the base. Immutable, shared by all rows that run under it; any thread.
class singular_delta {
 public:
  /// `d`: float32 of length layout->total(), finite; on the CPU.
  static result<std::shared_ptr<const singular_delta>> make(
      std::shared_ptr<const svf_layout> layout, at::Tensor d);

  const svf_layout& layout() const { return *layout_; }
  std::shared_ptr<const svf_layout> shared_layout() const { return layout_; }
  const at::Tensor& d() const { return d_; }
  /// d of one projection: float32 [rank].
  at::Tensor of(std::size_t p) const;
  /// Same targets and bytes of d, same digest: the key of dense copies.
  const std::string& digest() const { return digest_; }

 private:
  singular_delta() = default;
  std::shared_ptr<const svf_layout> layout_;
  at::Tensor d_;
  std::string digest_;
};

using delta_ref = std::shared_ptr<const singular_delta>;  // null: the base

}  // namespace t2
