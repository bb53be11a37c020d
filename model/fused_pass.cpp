#include "model/fused_pass.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "model/transformer.hpp"

namespace t2 {

using namespace dense_kernels;

namespace {

enum : std::size_t { query_key_value, attention_output, gate_up, down, each };

attention_shape shape_of(const model_config& c) {
  return {c.heads, c.kv_heads, c.head_dim};
}

}  // namespace

bool fused_pass::supports(transformer& net) {
  const auto& c = net.config();
  return net.device().is_cpu() && c.block == block_spec{} &&
         !c.sliding_window && c.rotated_layers.empty() && c.hidden % 16 == 0 &&
         c.intermediate % 16 == 0;
}

const layer_norms& fused_pass::norms(std::int64_t layer) const {
  return net_.weights().layers[static_cast<std::size_t>(layer)];
}

at::Tensor fused_pass::of_pass(const at::Tensor& buffer) const {
  return buffer.defined() ? buffer.narrow(0, 0, tokens_) : buffer;
}

void fused_pass::make_room(std::int64_t tokens) {
  const auto& c = net_.config();
  const auto query = c.heads * c.head_dim;
  const auto type = net_.dtype();
  if (tokens > room_) {
    room_ = tokens;
    const auto make = [&](std::int64_t n, at::ScalarType of) {
      return at::empty({room_, n}, of);
    };
    const auto column = [&] { return at::empty({room_}, at::kFloat); };
    buffers_.clear();
    layers_.clear();
    for (std::int64_t l = 0; l < c.layers; ++l)
      buffers_.push_back({.x_th = make(c.hidden, at::kFloat),
                          .scale_t = column(),
                          .normed_th = make(c.hidden, type),
                          .qkv_tn = {},
                          .log_sum_tq = make(c.heads, at::kFloat),
                          .attended_tq = make(query, type),
                          .mlp_x_th = make(c.hidden, at::kFloat),
                          .mlp_scale_t = column(),
                          .mlp_normed_th = make(c.hidden, type),
                          .gate_up_t2i = {},
                          .activated_ti = make(c.intermediate, type)});
    others_ = {make(c.hidden, at::kFloat),
               column(),
               make(c.hidden, type),
               make(c.hidden, at::kFloat),
               make(c.hidden, type),
               make(query, type),
               make(query + 2 * c.kv_heads * c.head_dim, type)};
    no_norm_h_ = at::zeros({c.hidden}, at::kFloat);
    tokens_ = 0;
  }
  if (tokens == tokens_) return;
  tokens_ = tokens;
  layers_ = buffers_;
  for (auto& r : layers_)
    for (auto* one :
         {&r.x_th, &r.scale_t, &r.normed_th, &r.log_sum_tq, &r.attended_tq,
          &r.mlp_x_th, &r.mlp_scale_t, &r.mlp_normed_th, &r.activated_ti})
      *one = of_pass(*one);
  std::size_t next = 0;
  for (auto* one : {&x_th_, &scale_t_, &normed_th_, &dx_th_, &dx_copy_th_,
                    &d_attended_tq_, &d_qkv_tn_})
    *one = of_pass(others_[next++]);
}

const at::Tensor& fused_pass::forward(std::span<const token_id> tokens,
                                      std::span<const document_span> rows,
                                      const adapted_linears* linears) {
  const c10::InferenceMode off{false};
  const at::NoGradGuard no_gradient;
  const auto& c = net_.config();
  make_room(static_cast<std::int64_t>(tokens.size()));
  std::int64_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.end - row.begin);
  const auto& rotary = net_.rotary(0, longest);
  const auto apply = [&](std::size_t i, const at::Tensor& x_tn) {
    return linears ? linears->run(i, x_tn) : net_.linears()[i].apply_base(x_tn);
  };
  std::vector<std::int64_t> ids(tokens.begin(), tokens.end());
  layers_.front().x_th.copy_(net_.weights().embedding_vh.index_select(
      0, at::from_blob(ids.data(), {tokens_}, at::kLong)));
  const at::Tensor* x_th = &layers_.front().x_th;
  at::Tensor update_th;
  for (std::int64_t l = 0; l < c.layers; ++l) {
    auto& r = layers_[static_cast<std::size_t>(l)];
    const auto first = static_cast<std::size_t>(l) * each;
    add_rms_norm(*x_th, update_th, norms(l).attention.weight, c.norm_epsilon,
                 r.x_th, r.scale_t, r.normed_th);
    r.qkv_tn = apply(first + query_key_value, r.normed_th);
    attention(r.qkv_tn, rows, shape_of(c), rotary.cos_pd, rotary.sin_pd,
              r.attended_tq, r.log_sum_tq);
    update_th = apply(first + attention_output, r.attended_tq);
    add_rms_norm(r.x_th, update_th, norms(l).mlp.weight, c.norm_epsilon,
                 r.mlp_x_th, r.mlp_scale_t, r.mlp_normed_th);
    r.gate_up_t2i = apply(first + gate_up, r.mlp_normed_th);
    silu_multiply(r.gate_up_t2i, r.activated_ti);
    update_th = apply(first + down, r.activated_ti);
    x_th = &r.mlp_x_th;
  }
  add_rms_norm(*x_th, update_th, net_.weights().final_norm.weight,
               c.norm_epsilon, x_th_, scale_t_, normed_th_);
  return normed_th_;
}

void fused_pass::backward(const at::Tensor& g_th,
                          std::span<const document_span> rows,
                          const adapted_linears& linears) {
  const c10::InferenceMode off{false};
  const at::NoGradGuard no_gradient;
  const auto& c = net_.config();
  std::int64_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.end - row.begin);
  const auto& rotary = net_.rotary(0, longest);
  dx_th_.zero_();
  rms_norm_backward(g_th, x_th_, scale_t_, net_.weights().final_norm.weight,
                    dx_th_, dx_copy_th_, no_norm_h_);
  for (auto l = c.layers - 1; l >= 0; --l) {
    auto& r = layers_[static_cast<std::size_t>(l)];
    const auto first = static_cast<std::size_t>(l) * each;
    const auto d_activated_ti =
        linears.run_backward(first + down, r.activated_ti, dx_copy_th_);
    silu_multiply_backward(d_activated_ti, r.gate_up_t2i);
    rms_norm_backward(
        linears.run_backward(first + gate_up, r.mlp_normed_th, r.gate_up_t2i),
        r.mlp_x_th, r.mlp_scale_t, norms(l).mlp.weight, dx_th_, dx_copy_th_,
        no_norm_h_);
    d_attended_tq_.copy_(linears.run_backward(first + attention_output,
                                              r.attended_tq, dx_copy_th_));
    attention_backward(d_attended_tq_, r.qkv_tn, rows, shape_of(c),
                       rotary.cos_pd, rotary.sin_pd, r.log_sum_tq, d_qkv_tn_);
    rms_norm_backward(
        linears.run_backward(first + query_key_value, r.normed_th, d_qkv_tn_),
        r.x_th, r.scale_t, norms(l).attention.weight, dx_th_, dx_copy_th_,
        no_norm_h_);
  }
}

}  // namespace t2
