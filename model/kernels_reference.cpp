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

/// Keys and values as [pages, layers, K heads, page tokens, D].
struct plain_store : kv_store {
  at::Tensor keys, values;
};

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

/// Of each sequence's pages (ids: [S, P], every row as long) keys or values of one
/// layer, float32 [S, K heads, P · page tokens, D].
at::Tensor gather(const at::Tensor& of, const at::Tensor& ids_sp,
                  int64_t layer) {
  const auto picked = of.select(1, layer).index_select(0, ids_sp.reshape({-1}));
  const auto heads = picked.size(1), dim = picked.size(3);
  return picked.view({ids_sp.size(0), ids_sp.size(1), heads, -1, dim})
      .transpose(1, 2)
      .reshape({ids_sp.size(0), heads, -1, dim})
      .to(at::kFloat);
}

/// Rows of a span beside each other.
void attend_span(const at::Tensor& qkv_tn, const plain_store& store,
                 const attention_span& span, const attention_shape& s,
                 at::Tensor& out_tq) {
  const auto count = span.end - span.begin;
  const auto end = span.position + count;
  const auto ids = on(qkv_tn.device(),
                      {span.pages.begin(), span.pages.begin() + kv_pages(end)})
                       .unsqueeze(0);
  const auto group = s.heads / s.kv_heads;
  const auto of = [&](const at::Tensor& stored) {
    return gather(stored, ids, s.layer)[0]
        .narrow(1, 0, end)
        .repeat_interleave(group, 0);
  };
  const auto q = qkv_tn.narrow(0, span.begin, count)
                     .narrow(1, 0, s.heads * s.dim)
                     .view({count, s.heads, s.dim})
                     .transpose(0, 1)
                     .to(at::kFloat);
  auto scores =
      capped(at::matmul(q, of(store.keys).transpose(1, 2)) * s.rule.scale,
             s.rule.cap);
  const auto options = at::TensorOptions().dtype(at::kLong).device(q.device());
  const auto row = at::arange(span.position, end, options).unsqueeze(1);
  const auto column = at::arange(end, options).unsqueeze(0);
  auto hidden = column > row;
  const auto window = s.rule.window;
  if (window > 0) hidden = hidden.logical_or(column <= row - window);
  scores = scores.masked_fill(hidden, minus_infinity);
  out_tq.narrow(0, span.begin, count)
      .copy_(at::matmul(at::softmax(scores, -1), of(store.values))
                 .transpose(0, 1)
                 .reshape({count, s.heads * s.dim}));
}

/// The rows of spans of one row each, S of them at once over as many pages as the
/// longest has, L positions: a launch for all in place of one for each.
void attend_single_rows(const at::Tensor& qkv_tn, const plain_store& store,
                        std::span<const attention_span> spans,
                        const attention_shape& s, at::Tensor& out_tq) {
  std::vector<int64_t> rows, ends, ids;
  for (const auto& span : spans) {
    rows.push_back(span.begin);
    ends.push_back(span.position + 1);
  }
  const auto most = kv_pages(std::ranges::max(ends));
  for (const auto& span : spans)
    for (int64_t p = 0; p < most; ++p)
      ids.push_back(p < kv_pages(span.position + 1)
                        ? span.pages[static_cast<std::size_t>(p)]
                        : span.pages.front());
  const auto device = qkv_tn.device();
  const auto count = static_cast<int64_t>(spans.size());
  const auto ids_sp = on(device, ids).view({count, most});
  const auto index = on(device, rows);
  const auto q_skgd =
      qkv_tn.narrow(1, 0, s.heads * s.dim)
          .index_select(0, index)
          .view({count, s.kv_heads, s.heads / s.kv_heads, s.dim})
          .to(at::kFloat);
  const auto end_s111 = on(device, ends).view({count, 1, 1, 1});
  const auto column = at::arange(most * kv_store::page_tokens, end_s111.options());
  const auto beyond = column >= end_s111;
  auto hidden = beyond;
  const auto window = s.rule.window;
  if (window > 0) hidden = hidden.logical_or(column < end_s111 - window);
  const auto scores_skgl =
      capped(at::matmul(q_skgd,
                        gather(store.keys, ids_sp, s.layer).transpose(2, 3)) *
                 s.rule.scale,
             s.rule.cap)
          .masked_fill(hidden, minus_infinity);
  // What a page holds behind its sequence's end may be no number at all.
  const auto values_skld = gather(store.values, ids_sp, s.layer)
                               .masked_fill(beyond.transpose(2, 3), 0);
  const auto mixed = at::matmul(at::softmax(scores_skgl, -1), values_skld);
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

std::unique_ptr<kv_store> reference_backend::make_store(
    const model_config& config, at::ScalarType dtype, c10::Device device,
    std::int64_t pages) const {
  auto store = std::make_unique<plain_store>();
  const auto make = [&] {
    return at::empty({pages, config.layers, config.kv_heads,
                      kv_store::page_tokens, config.head_dim},
                     at::TensorOptions().dtype(dtype).device(device));
  };
  store->keys = make();
  store->values = make();
  return store;
}

void reference_backend::rotate_and_store(at::Tensor& qkv_tn,
                                         const step_pages& pages,
                                         const rotary_table& rotary,
                                         int64_t layer, int64_t heads,
                                         int64_t kv_heads) const {
  auto& store = static_cast<plain_store&>(pages.store);
  const auto dim = qkv_tn.size(1) / (heads + 2 * kv_heads);
  auto rows_thd = qkv_tn.view({qkv_tn.size(0), heads + 2 * kv_heads, dim});
  auto k_tkd = rows_thd.narrow(1, heads, kv_heads);
  // All rows at once: on a device each operation costs a launch.
  const auto count = static_cast<std::size_t>(qkv_tn.size(0));
  std::vector<int64_t> positions(count), page(count), slot(count);
  for (const auto& span : pages.spans)
    for (auto t = span.begin; t < span.end; ++t) {
      const auto position = span.position + (t - span.begin);
      const auto at = static_cast<std::size_t>(t);
      positions[at] = position;
      page[at] = span.pages[static_cast<std::size_t>(position /
                                                     kv_store::page_tokens)];
      slot[at] = position % kv_store::page_tokens;
    }
  const auto device = qkv_tn.device();
  if (rotary.cos_pd.defined()) {
    const auto index = on(device, positions);
    const auto turned = rotate(rows_thd.narrow(1, 0, heads + kv_heads),
                               rotary.cos_pd.index_select(0, index),
                               rotary.sin_pd.index_select(0, index));
    rows_thd.narrow(1, 0, heads).copy_(turned.narrow(1, 0, heads));
    k_tkd = turned.narrow(1, heads, kv_heads);
  }
  const c10::List<std::optional<at::Tensor>> where{
      on(device, page), std::optional<at::Tensor>{}, on(device, slot)};
  store.keys.select(1, layer).index_put_(where, k_tkd);
  store.values.select(1, layer).index_put_(
      where, rows_thd.narrow(1, heads + kv_heads, kv_heads));
  for (const auto& fork : pages.forks)
    for (const auto& of : {store.keys, store.values})
      of[fork.to][layer].narrow(1, 0, fork.tokens).copy_(
          of[fork.from][layer].narrow(1, 0, fork.tokens));
}

at::Tensor reference_backend::attend(const at::Tensor& qkv_tn,
                                     const step_pages& pages, int64_t layer,
                                     int64_t heads, int64_t kv_heads,
                                     const attention_rule& rule) const {
  const auto& store = static_cast<const plain_store&>(pages.store);
  const attention_shape shape{
      layer, heads, kv_heads, qkv_tn.size(1) / (heads + 2 * kv_heads), rule};
  auto out = at::empty({qkv_tn.size(0), heads * shape.dim}, qkv_tn.options());
  std::vector<attention_span> single;
  for (const auto& span : pages.spans)
    if (span.end - span.begin == 1)
      single.push_back(span);
    else
      attend_span(qkv_tn, store, span, shape, out);
  if (!single.empty()) attend_single_rows(qkv_tn, store, single, shape, out);
  return out;
}

}  // namespace t2::kernels
