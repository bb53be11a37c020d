#include "model/training_graph.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <array>
#include <limits>
#include <optional>

namespace t2 {
namespace {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight,
                    double epsilon, at::ScalarType out) {
  const auto mean = x.square().mean(-1, true);
  return (x * at::rsqrt(mean + epsilon) * weight).to(out);
}

/// x [rows, heads, length, D], its first entries rotated.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos_ld,
                  const at::Tensor& sin_ld) {
  const auto dims = 2 * cos_ld.size(1), all = x.size(3);
  const auto halves = x.narrow(3, 0, dims).to(at::kFloat).chunk(2, -1);
  const auto turned = at::cat({halves[0] * cos_ld - halves[1] * sin_ld,
                               halves[1] * cos_ld + halves[0] * sin_ld},
                              -1)
                          .to(x.scalar_type());
  return dims == all ? turned
                     : at::cat({turned, x.narrow(3, dims, all - dims)}, -1);
}

/// Which keys a row sees; none: all before it.
std::optional<at::Tensor> window_mask(std::int64_t window,
                                      const at::Tensor& ids_bl) {
  if (window == 0) return std::nullopt;
  const auto at_key = at::arange(ids_bl.size(1), ids_bl.options());
  const auto at_row = at_key.unsqueeze(1);
  return (at_key <= at_row).logical_and(at_key > at_row - window);
}

constexpr std::array attention_inputs{
    projection_kind::query, projection_kind::key, projection_kind::value};
constexpr std::array mlp_inputs{projection_kind::gate, projection_kind::up};

/// A block as autograd records it.
struct graph_operations : block_operations {
  graph_operations(const model_config& config, const decoder_weights& weights_,
                   std::span<const kernels::rotary_table> rotary_,
                   const trainable_linears& linears_, c10::ScalarType dtype_,
                   const at::Tensor& ids)
      : c(config),
        weights(weights_),
        rotary(rotary_),
        linears(linears_),
        dtype(dtype_),
        ids_bl(ids) {}

  at::Tensor add_norm(at::Tensor& residual, const at::Tensor& update,
                      const norm_weights& norm) override {
    if (update.defined()) residual = residual + update.to(at::kFloat);
    if (!norm.weight.defined()) return residual.to(dtype);
    if (norm.bias.defined())
      return at::layer_norm(residual, {residual.size(1)}, norm.weight,
                            norm.bias, c.norm_epsilon)
          .to(dtype);
    return rms_norm(residual, norm.weight, c.norm_epsilon, dtype);
  }

  at::Tensor norm(const at::Tensor& x, const norm_weights& norm) override {
    return rms_norm(x.to(at::kFloat), norm.weight, c.norm_epsilon, dtype);
  }

  at::Tensor attend(std::int64_t layer, const at::Tensor& x) override {
    const auto rows = ids_bl.size(0), length = ids_bl.size(1);
    const auto in = linears.apply_all(layer, attention_inputs, x);
    const auto& norms = weights.layers[static_cast<std::size_t>(layer)];
    const auto how = c.attention(layer);
    const auto split = [&](at::Tensor part, std::int64_t heads) {
      return part.view({rows, length, heads, c.head_dim}).transpose(1, 2);
    };
    const auto ready = [&](at::Tensor part, std::int64_t heads,
                           const norm_weights& norm) {
      if (norm.weight.defined()) {
        const auto width = norm.weight.size(0);
        part = rms_norm(part.to(at::kFloat)
                            .unflatten(1, std::vector<std::int64_t>{-1, width}),
                        norm.weight, c.norm_epsilon, dtype)
                   .flatten(1);
      }
      part = split(part, heads);
      if (how.rotary < 0) return part;
      const auto& table = rotary[static_cast<std::size_t>(how.rotary)];
      return rotate(part, table.cos_pd.narrow(0, 0, length),
                    table.sin_pd.narrow(0, 0, length));
    };
    const auto q = ready(in[0], c.heads, norms.query);
    const auto k = ready(in[1], c.kv_heads, norms.key);
    const auto v = split(in[2], c.kv_heads);
    const auto group = c.heads / c.kv_heads;
    if (c.block.attention_cap > 0)
      return capped_attention(q, k.repeat_interleave(group, 1),
                              v.repeat_interleave(group, 1), how.window)
          .transpose(1, 2)
          .reshape({rows * length, c.heads * c.head_dim});
    const auto mask = window_mask(how.window, ids_bl);
    return at::scaled_dot_product_attention(
               q, group == 1 ? k : k.repeat_interleave(group, 1),
               group == 1 ? v : v.repeat_interleave(group, 1), mask, 0.0, !mask,
               c.block.attention_scale)
        .transpose(1, 2)
        .reshape({rows * length, c.heads * c.head_dim});
  }

  /// ATen's attention knows no cap. q, k, v: [rows, heads, length, D].
  at::Tensor capped_attention(const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, std::int64_t window) const {
    const auto cap = c.block.attention_cap;
    const auto scores = at::matmul(q.to(at::kFloat),
                                   k.to(at::kFloat).transpose(2, 3)) *
                        c.attention_scale();
    const auto seen =
        window_mask(window > 0 ? window : ids_bl.size(1), ids_bl).value();
    const auto weights_of =
        at::softmax((at::tanh(scores / cap) * cap)
                        .masked_fill(seen.logical_not(),
                                     -std::numeric_limits<float>::infinity()),
                    -1);
    return at::matmul(weights_of, v.to(at::kFloat)).to(dtype);
  }

  at::Tensor attention_output(std::int64_t layer,
                              const at::Tensor& x) override {
    return linears.apply(layer, projection_kind::output, x);
  }

  at::Tensor mlp(std::int64_t layer, const at::Tensor& x) override {
    const auto act = [&](const at::Tensor& of) {
      switch (c.block.activation) {
        case activation_kind::gelu: return at::gelu(of);
        case activation_kind::gelu_tanh: return at::gelu(of, "tanh");
        case activation_kind::silu: break;
      }
      return at::silu(of);
    };
    const auto inside = [&] {
      if (!c.block.gated)
        return act(linears.apply(layer, projection_kind::up, x));
      const auto both = linears.apply_all(layer, mlp_inputs, x);
      return act(both[0]) * both[1];
    };
    return linears.apply(layer, projection_kind::down, inside());
  }

  const model_config& c;
  const decoder_weights& weights;
  std::span<const kernels::rotary_table> rotary;
  const trainable_linears& linears;
  c10::ScalarType dtype;
  const at::Tensor& ids_bl;
};

}  // namespace

at::Tensor trainable_linears::embed(const at::Tensor& ids_b,
                                    const at::Tensor& table_vh) const {
  return table_vh.index_select(0, ids_b).to(at::kFloat);
}

std::vector<at::Tensor> trainable_linears::apply_all(
    std::int64_t layer, std::span<const projection_kind> kinds,
    const at::Tensor& x_bn) const {
  std::vector<at::Tensor> out;
  for (const auto kind : kinds) out.push_back(apply(layer, kind, x_bn));
  return out;
}

at::Tensor hidden_states(const model_config& config,
                         const decoder_weights& weights,
                         std::span<const kernels::rotary_table> rotary,
                         const trainable_linears& linears,
                         c10::ScalarType dtype, const at::Tensor& ids_bl) {
  const auto ids_b = ids_bl.reshape({-1});
  auto x_bh = linears.embed(ids_b, weights.embedding_vh);
  // Its gradient starts here: the table itself is not differentiated.
  if (at::GradMode::is_enabled() && !x_bh.requires_grad()) {
    x_bh.requires_grad_();
    x_bh.register_hook([&linears, ids_b](const at::Tensor& g_bh) {
      linears.embed_backward(ids_b, g_bh);
    });
  }
  if (config.block.embedding_scale != 1)
    x_bh = x_bh * config.block.embedding_scale;
  if (weights.positions_ph.defined())
    x_bh = x_bh + weights.positions_ph.narrow(0, 0, ids_bl.size(1))
                      .to(at::kFloat)
                      .repeat({ids_bl.size(0), 1});
  graph_operations operations{config, weights, rotary, linears, dtype, ids_bl};
  residual_stream stream{.residual_th = x_bh};
  run_layers(config, weights, operations, stream);
  return operations.add_norm(stream.residual_th, stream.update_th,
                             weights.final_norm);
}

}  // namespace t2
