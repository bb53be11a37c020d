#include <ATen/ATen.h>

#include <limits>

#include "model/kernel_backends.hpp"

namespace t2::kernels {
namespace {

using std::int64_t;

/// x [T, heads, D], its first entries rotated by the angles of its positions.
at::Tensor rotate(const at::Tensor& x_thd, const at::Tensor& cos_td,
                  const at::Tensor& sin_td) {
  const auto dims = 2 * cos_td.size(1);
  const auto halves = x_thd.narrow(2, 0, dims).to(at::kFloat).chunk(2, 2);
  const auto cos = cos_td.unsqueeze(1), sin = sin_td.unsqueeze(1);
  const auto turned = at::cat({halves[0] * cos - halves[1] * sin,
                               halves[1] * cos + halves[0] * sin},
                              2)
                          .to(x_thd.scalar_type());
  if (dims == x_thd.size(2)) return turned;
  return at::cat({turned, x_thd.narrow(2, dims, x_thd.size(2) - dims)}, 2);
}

/// Keys [K heads, D, n] and values [K heads, n, D] of positions [0, n).
std::pair<at::Tensor, at::Tensor> gather(const kv_sequence& kv, int64_t layer,
                                         int64_t end) {
  std::vector<at::Tensor> keys, values;
  for (const auto& at : kv.segments()) {
    if (at.first >= end) break;
    const auto length = std::min(at.last, end) - at.first;
    keys.push_back(at.page->keys_lkdp.select(0, layer).narrow(2, 0, length));
    values.push_back(
        at.page->values_lkpd.select(0, layer).narrow(1, 0, length));
  }
  return {at::cat(keys, 2), at::cat(values, 1)};
}

}  // namespace

at::Tensor reference_backend::add_rms_norm(at::Tensor& residual_th,
                                           const at::Tensor& update_th,
                                           const at::Tensor& weight_h,
                                           double epsilon,
                                           at::ScalarType out) const {
  if (update_th.defined()) residual_th.add_(update_th.to(at::kFloat));
  const auto mean = residual_th.square().mean(1, true);
  return (residual_th * at::rsqrt(mean + epsilon) * weight_h).to(out);
}

at::Tensor reference_backend::add_layer_norm(at::Tensor& residual_th,
                                             const at::Tensor& update_th,
                                             const at::Tensor& weight_h,
                                             const at::Tensor& bias_h,
                                             double epsilon,
                                             at::ScalarType out) const {
  if (update_th.defined()) residual_th.add_(update_th.to(at::kFloat));
  return at::layer_norm(residual_th, {residual_th.size(1)}, weight_h, bias_h,
                        epsilon)
      .to(out);
}

void reference_backend::norm_groups(at::Tensor& x_tn, int64_t begin,
                                    int64_t groups, const at::Tensor& weight,
                                    double epsilon) const {
  const auto width = weight.size(0);
  auto part = x_tn.narrow(1, begin, groups * width)
                  .unflatten(1, std::vector<int64_t>{groups, width});
  const auto x = part.to(at::kFloat);
  const auto mean = x.square().mean(2, true);
  part.copy_(x * at::rsqrt(mean + epsilon) * weight);
}

at::Tensor reference_backend::activate(const at::Tensor& x,
                                       activation_kind kind) const {
  const auto wide = x.to(at::kFloat);
  return (kind == activation_kind::silu   ? at::silu(wide)
          : kind == activation_kind::gelu ? at::gelu(wide)
                                          : at::gelu(wide, "tanh"))
      .to(x.scalar_type());
}

at::Tensor reference_backend::gated(const at::Tensor& gate_up_t2i,
                                    activation_kind kind) const {
  const auto halves = gate_up_t2i.to(at::kFloat).chunk(2, 1);
  return (activate(halves[0], kind) * halves[1]).to(gate_up_t2i.scalar_type());
}

void reference_backend::scale_rows(at::Tensor& p_tr, const at::Tensor& d_gr,
                                   const at::Tensor& shift_r,
                                   std::span<const std::int32_t> row) const {
  std::vector<int64_t> index(row.begin(), row.end());
  // Row G of the table stands for "no delta".
  for (auto& i : index)
    if (i < 0) i = d_gr.size(0);
  auto table = at::cat({d_gr, at::zeros({1, d_gr.size(1)}, d_gr.options())}, 0);
  if (shift_r.defined()) table = table + shift_r;
  const auto rows =
      table.index_select(0, at::tensor(index, at::kLong).to(d_gr.device()));
  p_tr.copy_(p_tr.to(at::kFloat) * rows);
}

void reference_backend::rotate_and_store(at::Tensor& qkv_tn,
                                         std::span<const attention_span> spans,
                                         const rotary_table& rotary,
                                         int64_t layer, int64_t heads,
                                         int64_t kv_heads) const {
  const auto dim = qkv_tn.size(1) / (heads + 2 * kv_heads);
  for (const auto& span : spans) {
    const auto count = span.end - span.begin;
    auto rows = qkv_tn.narrow(0, span.begin, count)
                    .view({count, heads + 2 * kv_heads, dim});
    const auto turned = [&](const at::Tensor& x) {
      if (!rotary.cos_pd.defined()) return x;
      return rotate(x, rotary.cos_pd.narrow(0, span.position, count),
                    rotary.sin_pd.narrow(0, span.position, count));
    };
    auto q = rows.narrow(1, 0, heads);
    if (rotary.cos_pd.defined()) q.copy_(turned(q));
    const auto k_kdt =
        turned(rows.narrow(1, heads, kv_heads)).permute({1, 2, 0});
    const auto v_ktd =
        rows.narrow(1, heads + kv_heads, kv_heads).transpose(0, 1);
    for (int64_t t = 0; t < count;) {
      const auto& at = span.sequence->own(span.position + t);
      const auto slot = span.position + t - at.first;
      const auto length = std::min(count - t, kv_page::tokens - slot);
      at.page->keys_lkdp.select(0, layer)
          .narrow(2, slot, length)
          .copy_(k_kdt.narrow(2, t, length));
      at.page->values_lkpd.select(0, layer)
          .narrow(1, slot, length)
          .copy_(v_ktd.narrow(1, t, length));
      t += length;
    }
  }
}

at::Tensor reference_backend::attend(const at::Tensor& qkv_tn,
                                     std::span<const attention_span> spans,
                                     int64_t layer, int64_t heads,
                                     int64_t kv_heads, int64_t window,
                                     double scale) const {
  const auto dim = qkv_tn.size(1) / (heads + 2 * kv_heads);
  auto out = at::empty({qkv_tn.size(0), heads * dim}, qkv_tn.options());
  for (const auto& span : spans) {
    const auto count = span.end - span.begin;
    const auto end = span.position + count;
    auto [keys, values] = gather(*span.sequence, layer, end);
    keys = keys.repeat_interleave(heads / kv_heads, 0).to(at::kFloat);
    values = values.repeat_interleave(heads / kv_heads, 0).to(at::kFloat);
    const auto q = qkv_tn.narrow(0, span.begin, count)
                       .narrow(1, 0, heads * dim)
                       .view({count, heads, dim})
                       .transpose(0, 1)
                       .to(at::kFloat);
    auto scores = at::matmul(q, keys) * scale;
    const auto options =
        at::TensorOptions().dtype(at::kLong).device(q.device());
    const auto row = at::arange(span.position, end, options).unsqueeze(1);
    const auto column = at::arange(end, options).unsqueeze(0);
    auto hidden = column > row;
    if (window > 0) hidden = hidden.logical_or(column <= row - window);
    scores =
        scores.masked_fill(hidden, -std::numeric_limits<float>::infinity());
    out.narrow(0, span.begin, count)
        .copy_(at::matmul(at::softmax(scores, -1), values)
                   .transpose(0, 1)
                   .reshape({count, heads * dim}));
  }
  return out;
}

}  // namespace t2::kernels
