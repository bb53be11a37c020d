#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/decoder_block.hpp"
#include "model/kernels.hpp"
#include "model/model_config.hpp"
#include "model/projection.hpp"

namespace t2 {

/// The projections of a differentiable forward pass: what is trained decides
/// how they are recorded (SVF, LoRA, full weights).
class trainable_linears {
 public:
  virtual ~trainable_linears() = default;
  /// Rows ids_b (int64 [B]) of the embedding, float32 [B, H].
  virtual at::Tensor embed(const at::Tensor& ids_b,
                           const at::Tensor& table_vh) const;
  /// Takes the loss's gradient of what embed() returned.
  virtual void embed_backward(const at::Tensor& /*ids_b*/,
                              const at::Tensor& /*g_bh*/) const {}
  /// y = x W'ᵀ + bias, [B, out] from [B, in], both in the compute type.
  virtual at::Tensor apply(std::int64_t layer, projection_kind kind,
                           const at::Tensor& x_bn) const = 0;
  /// The projections of a layer that read the same input: q k v, or gate up.
  virtual std::vector<at::Tensor> apply_all(
      std::int64_t layer, std::span<const projection_kind> kinds,
      const at::Tensor& x_bn) const;
};

/// The decoder as autograd records it, over right-padded
/// rows: ids int64 [rows, L] to hidden states after the last norm
/// [rows × L, H] in `dtype`. The residual stream is float32, as in
/// transformer. `rotary`: the tables that the layers name, of at least L
/// positions.
at::Tensor hidden_states(const model_config& config,
                         const decoder_weights& weights,
                         std::span<const kernels::rotary_table> rotary,
                         const trainable_linears& linears,
                         c10::ScalarType dtype, const at::Tensor& ids_bl);

}  // namespace t2
