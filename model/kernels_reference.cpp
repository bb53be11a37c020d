#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

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

struct attention_shape {
  int64_t layer, heads, kv_heads, dim;
  attention_rule rule;
};

at::Tensor capped(at::Tensor scores, double cap) {
  return cap > 0 ? scores.div_(cap).tanh_().mul_(cap) : scores;
}

at::Tensor on(c10::Device device, const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong).to(device);
}

constexpr auto minus_infinity = -std::numeric_limits<float>::infinity();

/// Rows of a span beside each other.
void attend_span(const at::Tensor& qkv_tn, const attention_span& span,
                 const attention_shape& s, at::Tensor& out_tq) {
  const auto count = span.end - span.begin;
  const auto end = span.position + count;
  auto [keys, values] = gather(*span.sequence, s.layer, end);
  const auto group = s.heads / s.kv_heads;
  keys = keys.repeat_interleave(group, 0).to(at::kFloat);
  values = values.repeat_interleave(group, 0).to(at::kFloat);
  const auto q = qkv_tn.narrow(0, span.begin, count)
                     .narrow(1, 0, s.heads * s.dim)
                     .view({count, s.heads, s.dim})
                     .transpose(0, 1)
                     .to(at::kFloat);
  auto scores = capped(at::matmul(q, keys) * s.rule.scale, s.rule.cap);
  const auto options = at::TensorOptions().dtype(at::kLong).device(q.device());
  const auto row = at::arange(span.position, end, options).unsqueeze(1);
  const auto column = at::arange(end, options).unsqueeze(0);
  auto hidden = column > row;
  const auto window = s.rule.window;
  if (window > 0) hidden = hidden.logical_or(column <= row - window);
  scores = scores.masked_fill(hidden, minus_infinity);
  out_tq.narrow(0, span.begin, count)
      .copy_(at::matmul(at::softmax(scores, -1), values)
                 .transpose(0, 1)
                 .reshape({count, s.heads * s.dim}));
}

/// The rows of spans of one row each, S of them at once over keys that are
/// padded to the longest, L: a launch for all in place of one for each.
void attend_single_rows(const at::Tensor& qkv_tn,
                        std::span<const attention_span> spans,
                        const attention_shape& s, at::Tensor& out_tq) {
  std::vector<int64_t> rows, ends;
  for (const auto& span : spans) {
    rows.push_back(span.begin);
    ends.push_back(span.position + 1);
  }
  const auto longest = std::ranges::max(ends);
  std::vector<at::Tensor> keys, values;
  for (const auto& span : spans) {
    const auto end = span.position + 1;
    const auto [k_kdn, v_knd] = gather(*span.sequence, s.layer, end);
    const auto pad = longest - end;
    keys.push_back(at::constant_pad_nd(k_kdn, {0, pad}));
    values.push_back(at::constant_pad_nd(v_knd, {0, 0, 0, pad}));
  }
  const auto device = qkv_tn.device();
  const auto count = static_cast<int64_t>(spans.size());
  const auto index = on(device, rows);
  const auto q_skgd =
      qkv_tn.narrow(1, 0, s.heads * s.dim)
          .index_select(0, index)
          .view({count, s.kv_heads, s.heads / s.kv_heads, s.dim})
          .to(at::kFloat);
  const auto end_s111 = on(device, ends).view({count, 1, 1, 1});
  const auto column = at::arange(longest, end_s111.options());
  auto hidden = column >= end_s111;
  const auto window = s.rule.window;
  if (window > 0) hidden = hidden.logical_or(column < end_s111 - window);
  const auto scores_skgl =
      capped(at::matmul(q_skgd, at::stack(keys).to(at::kFloat)) * s.rule.scale,
             s.rule.cap)
          .masked_fill(hidden, minus_infinity);
  const auto mixed = at::matmul(at::softmax(scores_skgl, -1),
                                at::stack(values).to(at::kFloat));
  out_tq.index_copy_(0, index,
                     mixed.reshape({count, s.heads * s.dim})
                         .to(out_tq.scalar_type()));
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
  auto rows_thd = qkv_tn.view({qkv_tn.size(0), heads + 2 * kv_heads, dim});
  auto k_tkd = rows_thd.narrow(1, heads, kv_heads);
  if (rotary.cos_pd.defined()) {
    // All rows at once: on a device each operation costs a launch.
    std::vector<int64_t> positions(static_cast<std::size_t>(qkv_tn.size(0)));
    for (const auto& span : spans)
      for (auto t = span.begin; t < span.end; ++t)
        positions[static_cast<std::size_t>(t)] =
            span.position + (t - span.begin);
    const auto index = on(qkv_tn.device(), positions);
    const auto turned = rotate(rows_thd.narrow(1, 0, heads + kv_heads),
                               rotary.cos_pd.index_select(0, index),
                               rotary.sin_pd.index_select(0, index));
    rows_thd.narrow(1, 0, heads).copy_(turned.narrow(1, 0, heads));
    k_tkd = turned.narrow(1, heads, kv_heads);
  }
  const auto k_kdt = k_tkd.permute({1, 2, 0});
  const auto v_ktd =
      rows_thd.narrow(1, heads + kv_heads, kv_heads).transpose(0, 1);
  for (const auto& span : spans)
    for (auto t = span.begin; t < span.end;) {
      const auto position = span.position + (t - span.begin);
      const auto& at = span.sequence->own(position);
      const auto slot = position - at.first;
      const auto length = std::min(span.end - t, kv_page::tokens - slot);
      at.page->keys_lkdp.select(0, layer)
          .narrow(2, slot, length)
          .copy_(k_kdt.narrow(2, t, length));
      at.page->values_lkpd.select(0, layer)
          .narrow(1, slot, length)
          .copy_(v_ktd.narrow(1, t, length));
      t += length;
    }
}

at::Tensor reference_backend::attend(const at::Tensor& qkv_tn,
                                     std::span<const attention_span> spans,
                                     int64_t layer, int64_t heads,
                                     int64_t kv_heads,
                                     const attention_rule& rule) const {
  const attention_shape shape{
      layer, heads, kv_heads, qkv_tn.size(1) / (heads + 2 * kv_heads), rule};
  auto out = at::empty({qkv_tn.size(0), heads * shape.dim}, qkv_tn.options());
  std::vector<attention_span> single;
  for (const auto& span : spans)
    if (span.end - span.begin == 1)
      single.push_back(span);
    else
      attend_span(qkv_tn, span, shape, out);
  if (!single.empty()) attend_single_rows(qkv_tn, single, shape, out);
  return out;
}

}  // namespace t2::kernels
