#include "pretraining/dense_network.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "model/rotary.hpp"

namespace t2 {

using namespace dense_kernels;

namespace {

// Rows of the head's products come in multiples of this: a library prepares
// itself anew for every shape it has not seen.
constexpr std::int64_t head_rows = 256;

/// What the backward pass of a layer needs of the forward one; letters as in
/// dense_kernels.hpp.
struct layer_record {
  at::Tensor x_th, scale_t, normed_th;              // attention's norm
  at::Tensor qkv_tn, log_sum_tq, attended_tq;
  at::Tensor mlp_x_th, mlp_scale_t, mlp_normed_th;  // the MLP's norm
  at::Tensor gate_up_t2i, activated_ti;
};

}  // namespace

void dense_pass::add(std::span<const token_id> document,
                     std::span<const std::uint8_t> counts, float weight) {
  const auto begin = static_cast<std::int64_t>(tokens.size());
  tokens.insert(tokens.end(), document.begin(), document.end() - 1);
  spans.push_back({begin, static_cast<std::int64_t>(tokens.size())});
  for (std::size_t i = 1; i < document.size(); ++i) {
    if (!counts[i]) continue;
    rows.push_back(begin + static_cast<std::int64_t>(i) - 1);
    targets.push_back(document[i]);
    weights.push_back(weight);
  }
}

struct dense_network::state {
  model_config config;
  c10::ScalarType compute;
  std::int64_t most_tokens;
  dense_layout layout;
  kernels::rotary_table rotary;
  attention_shape heads;

  at::Tensor parameter, gradient, copy;
  std::vector<layer_record> layers;
  at::Tensor x_th, scale_t, normed_th;  // the last norm
  at::Tensor update_th;                 // what a block adds, compute
  at::Tensor no_update;
  // Backward: of the residual stream, its compute copy, and of a block's
  // inputs and outputs.
  at::Tensor dx_th, dx_copy_th, d_normed_th, d_attended_tq, d_qkv_tn,
      d_activated_ti;

  state(const model_config& c, c10::ScalarType type, std::int64_t tokens)
      : config{c},
        compute{type},
        most_tokens{tokens},
        layout{c},
        rotary{make_rotary_table(c, std::max(c.max_positions, tokens))},
        heads{c.heads, c.kv_heads, c.head_dim} {
    const auto query = c.heads * c.head_dim;
    const auto all = query + 2 * c.kv_heads * c.head_dim;
    const auto f32 = [&](std::int64_t n) {
      return at::zeros({tokens, n}, at::kFloat);
    };
    const auto mixed = [&](std::int64_t n) {
      return at::zeros({tokens, n}, compute);
    };
    parameter = at::zeros({layout.total()}, at::kFloat);
    gradient = at::zeros({layout.total()}, at::kFloat);
    if (compute != at::kFloat) copy = at::zeros({layout.total()}, compute);
    for (std::int64_t l = 0; l < c.layers; ++l)
      layers.push_back({.x_th = f32(c.hidden),
                        .scale_t = at::zeros({tokens}, at::kFloat),
                        .normed_th = mixed(c.hidden),
                        .qkv_tn = mixed(all),
                        .log_sum_tq = f32(c.heads),
                        .attended_tq = mixed(query),
                        .mlp_x_th = f32(c.hidden),
                        .mlp_scale_t = at::zeros({tokens}, at::kFloat),
                        .mlp_normed_th = mixed(c.hidden),
                        .gate_up_t2i = mixed(2 * c.intermediate),
                        .activated_ti = mixed(c.intermediate)});
    x_th = f32(c.hidden);
    scale_t = at::zeros({tokens}, at::kFloat);
    for (auto* one : {&normed_th, &update_th, &d_normed_th, &dx_copy_th})
      *one = mixed(c.hidden);
    dx_th = f32(c.hidden);
    d_attended_tq = mixed(query);
    d_qkv_tn = mixed(all);
    d_activated_ti = mixed(c.intermediate);
  }

  const at::Tensor& computed() const {
    return copy.defined() ? copy : parameter;
  }
  at::Tensor matrix(std::size_t place, std::size_t count = 1) const {
    return layout.rows(computed(), place, count);
  }
  at::Tensor norm(std::size_t place) const {
    return layout.part(parameter, place);
  }

  /// gradient of a matrix += g_tmᵀ x_tn.
  void add_outer(std::size_t place, std::size_t count, const at::Tensor& g_tm,
                 const at::Tensor& x_tn) {
    auto into = layout.rows(gradient, place, count);
    if (compute == at::kFloat)
      into.addmm_(g_tm.t(), x_tn);
    else
      into.add_(at::mm(g_tm.t(), x_tn));
  }

  /// Embeds the pass; fills up with token 0 outside of every document.
  void embed(const dense_pass& pass, at::Tensor& into_th) const {
    const auto hidden = config.hidden;
    const auto* table = parameter.const_data_ptr<float>();
    auto* out = into_th.mutable_data_ptr<float>();
    at::parallel_for(0, most_tokens, 256,
                     [&](std::int64_t begin, std::int64_t end) {
                       for (auto t = begin; t < end; ++t) {
                         const auto at = static_cast<std::size_t>(t);
                         const std::int64_t id =
                             at < pass.tokens.size() ? pass.tokens[at] : 0;
                         std::copy_n(table + id * hidden, hidden,
                                     out + t * hidden);
                       }
                     });
  }

  /// Each thread adds to columns of its own, token by token.
  void embed_backward(const dense_pass& pass) {
    const auto hidden = config.hidden;
    auto* table = gradient.mutable_data_ptr<float>();
    const auto* dx = dx_th.const_data_ptr<float>();
    at::parallel_for(
        0, hidden / 16, 1, [&](std::int64_t begin, std::int64_t end) {
          for (std::size_t t = 0; t < pass.tokens.size(); ++t) {
            const auto* from = dx + static_cast<std::int64_t>(t) * hidden;
            auto* to = table + pass.tokens[t] * hidden;
            for (auto h = begin * 16; h < end * 16; ++h) to[h] += from[h];
          }
        });
  }

  void forward(const dense_pass& pass) {
    const double eps = config.norm_epsilon;
    embed(pass, layers.front().x_th);
    const at::Tensor* x = &layers.front().x_th;
    for (std::int64_t l = 0; l < config.layers; ++l) {
      auto& r = layers[static_cast<std::size_t>(l)];
      const auto at = layout.layer(l);
      add_rms_norm(*x, l == 0 ? no_update : update_th, norm(at), eps, r.x_th,
                   r.scale_t, r.normed_th);
      at::mm_out(r.qkv_tn, r.normed_th, matrix(at + 1, 3).t());
      attention(r.qkv_tn, pass.spans, heads, rotary.cos_pd, rotary.sin_pd,
                r.attended_tq, r.log_sum_tq);
      at::mm_out(update_th, r.attended_tq, matrix(at + 4).t());
      add_rms_norm(r.x_th, update_th, norm(at + 5), eps, r.mlp_x_th,
                   r.mlp_scale_t, r.mlp_normed_th);
      at::mm_out(r.gate_up_t2i, r.mlp_normed_th, matrix(at + 6, 2).t());
      silu_multiply(r.gate_up_t2i, r.activated_ti);
      at::mm_out(update_th, r.activated_ti, matrix(at + 8).t());
      x = &r.mlp_x_th;
    }
    add_rms_norm(*x, update_th, norm(layout.final_norm()), eps, x_th, scale_t,
                 normed_th);
  }

  /// From dx_th and dx_copy_th after the last layer to the embedding.
  void backward(const dense_pass& pass) {
    for (auto l = config.layers - 1; l >= 0; --l) {
      auto& r = layers[static_cast<std::size_t>(l)];
      const auto at = layout.layer(l);
      const auto of_norm = [&](std::size_t place) {
        return layout.part(gradient, place);
      };
      add_outer(at + 8, 1, dx_copy_th, r.activated_ti);
      at::mm_out(d_activated_ti, dx_copy_th, matrix(at + 8));
      silu_multiply_backward(d_activated_ti, r.gate_up_t2i);
      add_outer(at + 6, 2, r.gate_up_t2i, r.mlp_normed_th);
      at::mm_out(d_normed_th, r.gate_up_t2i, matrix(at + 6, 2));
      rms_norm_backward(d_normed_th, r.mlp_x_th, r.mlp_scale_t, norm(at + 5),
                        dx_th, dx_copy_th, of_norm(at + 5));
      add_outer(at + 4, 1, dx_copy_th, r.attended_tq);
      at::mm_out(d_attended_tq, dx_copy_th, matrix(at + 4));
      attention_backward(d_attended_tq, r.qkv_tn, pass.spans, heads,
                         rotary.cos_pd, rotary.sin_pd, r.log_sum_tq, d_qkv_tn);
      add_outer(at + 1, 3, d_qkv_tn, r.normed_th);
      at::mm_out(d_normed_th, d_qkv_tn, matrix(at + 1, 3));
      rms_norm_backward(d_normed_th, r.x_th, r.scale_t, norm(at), dx_th,
                        dx_copy_th, of_norm(at));
    }
    embed_backward(pass);
  }

  double run(const dense_pass& pass, bool with_gradient) {
    if (pass.rows.empty()) return 0;
    const c10::InferenceMode off{false};
    const c10::NoGradGuard no_gradient;
    forward(pass);
    const auto count = static_cast<std::int64_t>(pass.rows.size());
    const auto wide = (count + head_rows - 1) / head_rows * head_rows;
    auto index = at::zeros({wide}, at::kLong);
    std::copy(pass.rows.begin(), pass.rows.end(),
              index.mutable_data_ptr<std::int64_t>());
    const auto hidden_ah = normed_th.index_select(0, index);
    const auto head_vh = matrix(0);
    auto logits_av = at::mm(hidden_ah, head_vh.t());
    const double loss = cross_entropy(logits_av, pass.targets, pass.weights);
    if (!with_gradient) return loss;
    add_outer(0, 1, logits_av, hidden_ah);
    const auto d_hidden_ah = at::mm(logits_av, head_vh);
    d_normed_th.zero_();
    d_normed_th.index_copy_(0, index.narrow(0, 0, count),
                            d_hidden_ah.narrow(0, 0, count));
    dx_th.zero_();
    const auto last = layout.final_norm();
    rms_norm_backward(d_normed_th, x_th, scale_t, norm(last), dx_th,
                      dx_copy_th, layout.part(gradient, last));
    backward(pass);
    return loss;
  }
};

dense_network::dense_network(const model_config& config,
                             c10::ScalarType compute, std::int64_t most_tokens)
    : state_(std::make_unique<state>(config, compute, most_tokens)) {}
dense_network::~dense_network() = default;
dense_network::dense_network(dense_network&&) noexcept = default;

const dense_layout& dense_network::layout() const { return state_->layout; }
at::Tensor& dense_network::parameter() { return state_->parameter; }
at::Tensor& dense_network::gradient() { return state_->gradient; }
at::Tensor& dense_network::copy() { return state_->copy; }

void dense_network::weights_changed() {
  if (state_->copy.defined()) state_->copy.copy_(state_->parameter);
}

double dense_network::accumulate(const dense_pass& pass) {
  return state_->run(pass, true);
}

double dense_network::loss(const dense_pass& pass) {
  return state_->run(pass, false);
}

at::Tensor dense_network::logits(std::span<const token_id> tokens) {
  const c10::InferenceMode off{false};
  const c10::NoGradGuard no_gradient;
  dense_pass pass;
  pass.tokens.assign(tokens.begin(), tokens.end());
  const auto length = static_cast<std::int64_t>(tokens.size());
  pass.spans = {{0, length}};
  auto& s = *state_;
  s.forward(pass);
  return at::mm(s.normed_th.narrow(0, 0, length), s.matrix(0).t())
      .to(at::kFloat);
}

}  // namespace t2
