#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

/// What runs between the matrix products of full-weights training, forward and
/// backward, fused into loops over float32 or bfloat16 rows on the CPU. Sums
/// are cut at the same places for any number of threads.
///
/// Letters: T tokens of a pass, H hidden, I intermediate, N = query + 2 ×
/// key-value heads × head dim D, A rows with a target, V vocabulary. H and I
/// are multiples of 16. "compute": float32 or bfloat16, the same for all
/// tensors of a call; all others are float32.
namespace t2::dense_kernels {

/// Tokens [begin, end) of a pass are one document, from position 0.
struct document_span {
  std::int64_t begin = 0, end = 0;
};

/// sum_th = x_th + update_th (compute; undefined: nothing is added and sum_th
/// is not written), scale_t = 1 / rms(sum), out_th (compute) = sum · scale ·
/// weight.
void add_rms_norm(const at::Tensor& x_th, const at::Tensor& update_th,
                  const at::Tensor& weight_h, double epsilon,
                  at::Tensor& sum_th, at::Tensor& scale_t, at::Tensor& out_th);

/// gradient_th += ∂/∂x of the norm for its output's gradient g_th (compute),
/// copy_th (compute) = gradient_th, weight_gradient_h += ∂/∂weight.
void rms_norm_backward(const at::Tensor& g_th, const at::Tensor& x_th,
                       const at::Tensor& scale_t, const at::Tensor& weight_h,
                       at::Tensor& gradient_th, at::Tensor& copy_th,
                       at::Tensor weight_gradient_h);

/// out_ti = silu(gate) ⊙ up of gate_up_t2i = [gate | up]; all compute.
void silu_multiply(const at::Tensor& gate_up_t2i, at::Tensor& out_ti);
/// Replaces gate_up_t2i by its gradient for the output's g_ti.
void silu_multiply_backward(const at::Tensor& g_ti, at::Tensor& gate_up_t2i);

struct attention_shape {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
};

/// Causal attention within each document over qkv_tn = [q | k | v] before
/// rotation (compute); rotary tables [positions, D/2]. log_sum_th [T, heads]:
/// log Σ exp of the scores. out_tq: rows outside of documents become 0.
void attention(const at::Tensor& qkv_tn, std::span<const document_span> spans,
               const attention_shape& shape, const at::Tensor& cos_pd,
               const at::Tensor& sin_pd, at::Tensor& out_tq,
               at::Tensor& log_sum_th);
/// gradient_tn: of qkv_tn, for the output's g_tq. Rows outside of documents
/// become 0.
void attention_backward(const at::Tensor& g_tq, const at::Tensor& qkv_tn,
                        std::span<const document_span> spans,
                        const attention_shape& shape,
                        const at::Tensor& cos_pd, const at::Tensor& sin_pd,
                        const at::Tensor& log_sum_th,
                        at::Tensor& gradient_tn);

/// Σ_a weight_a · −log p(target_a), and logits_av (compute) replaced by the
/// gradient of that. Rows beyond the targets become 0.
double cross_entropy(at::Tensor& logits_av,
                     std::span<const std::int32_t> targets,
                     std::span<const float> weights);

struct adamw_settings {
  double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8;
  double learning_rate = 0, weight_decay = 0;
  double scale = 1;         // of the gradient: clipping
  std::int64_t step = 1;    // from 1
};

/// AdamW on flat float32 vectors in place; `copy` (compute; undefined: none)
/// follows the parameter.
void adamw(at::Tensor parameter, at::Tensor first_moment,
           at::Tensor second_moment, const at::Tensor& gradient,
           at::Tensor copy, const adamw_settings& settings);

/// Σ x² of a flat float32 vector.
double sum_of_squares(const at::Tensor& flat);

}  // namespace t2::dense_kernels
