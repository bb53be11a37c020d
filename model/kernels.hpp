#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/kv_cache.hpp"
#include "model/model_config.hpp"

/// What runs between the linear maps of a step, fused. On the CPU these are
/// loops of our own over float32 or bfloat16 rows; on other devices the same
/// functions are composed of ATen operators, which also are the reference that
/// the loops are tested against (`*_reference`).
///
/// Letters: T tokens of a step, H hidden, I intermediate, Q query heads × head
/// dim, K key-value heads × head dim, D head dim, R ranks, G distinct deltas.
namespace t2::kernels {

/// residual_th += update_th (if defined), then RMS-normalised and scaled by
/// weight_h (float32), as `out`'s type. residual_th: float32.
at::Tensor add_rms_norm(at::Tensor& residual_th, const at::Tensor& update_th,
                        const at::Tensor& weight_h, double epsilon,
                        at::ScalarType out);
at::Tensor add_rms_norm_reference(at::Tensor& residual_th,
                                  const at::Tensor& update_th,
                                  const at::Tensor& weight_h, double epsilon,
                                  at::ScalarType out);

/// The same with a layer norm.
at::Tensor add_layer_norm(at::Tensor& residual_th, const at::Tensor& update_th,
                          const at::Tensor& weight_h, const at::Tensor& bias_h,
                          double epsilon, at::ScalarType out);

/// Of x_tn the columns [begin, begin + groups · width), in groups of width,
/// each RMS-normalised and scaled by `weight` (float32 [width]), in place.
void norm_groups(at::Tensor& x_tn, std::int64_t begin, std::int64_t groups,
                 const at::Tensor& weight, double epsilon);
void norm_groups_reference(at::Tensor& x_tn, std::int64_t begin,
                           std::int64_t groups, const at::Tensor& weight,
                           double epsilon);

/// silu, gelu or its approximation by tanh, of each entry.
at::Tensor activate(const at::Tensor& x, activation_kind kind);
/// activation(gate) ⊙ up of gate_up_t2i = [gate | up] → [T, I].
at::Tensor gated(const at::Tensor& gate_up_t2i, activation_kind kind);

/// silu(gate) ⊙ up of gate_up_t2i = [gate | up] → [T, I].
at::Tensor silu_multiply(const at::Tensor& gate_up_t2i);
at::Tensor silu_multiply_reference(const at::Tensor& gate_up_t2i);

/// p_tr[t] ⊙= d_gr[row[t]]; rows with row[t] < 0 become 0. d_gr: float32, rows
/// may be strided. `shift_r` (float32, may be undefined) is added to d first:
/// the factored plan's s.
void scale_rows(at::Tensor& p_tr, const at::Tensor& d_gr,
                const at::Tensor& shift_r, std::span<const std::int32_t> row);
void scale_rows_reference(at::Tensor& p_tr, const at::Tensor& d_gr,
                          const at::Tensor& shift_r,
                          std::span<const std::int32_t> row);

/// Rotary tables: float32 [positions, R/2], of the first R entries of a head.
/// Undefined: nothing is rotated.
struct rotary_table {
  at::Tensor cos_pd, sin_pd;
};

/// Tokens [begin, end) of a step are consecutive tokens of one sequence, which
/// has room for them; the first has position `position`.
struct attention_span {
  std::int64_t begin = 0, end = 0;
  std::int64_t position = 0;
  kv_sequence* sequence = nullptr;
};

/// Rotates queries (in place) and keys of qkv_tn = [q | k | v] and stores keys
/// and values of layer `layer` in the spans' caches.
void rotate_and_store(at::Tensor& qkv_tn, std::span<const attention_span> spans,
                      const rotary_table& rotary, std::int64_t layer,
                      std::int64_t heads, std::int64_t kv_heads);
void rotate_and_store_reference(at::Tensor& qkv_tn,
                                std::span<const attention_span> spans,
                                const rotary_table& rotary, std::int64_t layer,
                                std::int64_t heads, std::int64_t kv_heads);

/// Causal attention of every span over its sequence up to its own position;
/// `window` > 0 hides keys further back than that. `scale`: of q · k.
/// Returns [T, Q] of qkv's type.
at::Tensor attend(const at::Tensor& qkv_tn,
                  std::span<const attention_span> spans, std::int64_t layer,
                  std::int64_t heads, std::int64_t kv_heads,
                  std::int64_t window, double scale);
at::Tensor attend_reference(const at::Tensor& qkv_tn,
                            std::span<const attention_span> spans,
                            std::int64_t layer, std::int64_t heads,
                            std::int64_t kv_heads, std::int64_t window,
                            double scale);

}  // namespace t2::kernels
