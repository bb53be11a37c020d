#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace t2 {

/// Whether this processor's matrix products are good at bfloat16: oneDNN wants
/// AVX-512 (or AVX-NE-CONVERT) for it. Without, they are right and slow.
bool multiplies_bfloat16_fast();

/// A weight W [M, N] on the device, ready for y = x Wᵀ. On the CPU it is
/// packed once into oneDNN's blocked layout, which decodes twice as fast as a
/// plain matrix (bfloat16 where the processor is good at it); the plain one is
/// not kept. Immutable; any thread.
class linear_weight {
 public:
  linear_weight() = default;
  /// `w_mn`: float32 or bfloat16, on the device it shall run on.
  explicit linear_weight(const at::Tensor& w_mn);

  bool defined() const { return weight_.defined(); }
  std::int64_t out_features() const { return out_; }
  std::int64_t bytes() const { return bytes_; }

  /// x_tn: [T, N] of W's type → [T, M].
  at::Tensor apply(const at::Tensor& x_tn) const;
  /// y_tm + x Wᵀ in one pass, as a new tensor.
  at::Tensor apply_onto(const at::Tensor& y_tm, const at::Tensor& x_tn) const;

 private:
  at::Tensor weight_;
  bool packed_ = false;
  std::int64_t out_ = 0, bytes_ = 0;
};

}  // namespace t2
