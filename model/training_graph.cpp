#include "model/training_graph.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <array>
#include <optional>

namespace t2 {
namespace {

at::Tensor rms_norm(const at::Tensor& x_bh, const at::Tensor& weight_h,
                    double epsilon, at::ScalarType out) {
  const auto mean = x_bh.square().mean(-1, true);
  return (x_bh * at::rsqrt(mean + epsilon) * weight_h).to(out);
}

/// x [rows, heads, length, D], rotated.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos_ld,
                  const at::Tensor& sin_ld) {
  const auto halves = x.to(at::kFloat).chunk(2, -1);
  return at::cat({halves[0] * cos_ld - halves[1] * sin_ld,
                  halves[1] * cos_ld + halves[0] * sin_ld},
                 -1)
      .to(x.scalar_type());
}

std::optional<at::Tensor> window_mask(const model_config& config,
                                      const at::Tensor& ids_bl) {
  if (!config.sliding_window) return std::nullopt;
  const auto at_key = at::arange(ids_bl.size(1), ids_bl.options());
  const auto at_row = at_key.unsqueeze(1);
  return (at_key <= at_row)
      .logical_and(at_key > at_row - *config.sliding_window);
}

constexpr std::array attention_inputs{
    projection_kind::query, projection_kind::key, projection_kind::value};
constexpr std::array mlp_inputs{projection_kind::gate, projection_kind::up};

}  // namespace

std::vector<at::Tensor> trainable_linears::apply_all(
    std::int64_t layer, std::span<const projection_kind> kinds,
    const at::Tensor& x_bn) const {
  std::vector<at::Tensor> out;
  for (const auto kind : kinds) out.push_back(apply(layer, kind, x_bn));
  return out;
}

at::Tensor hidden_states(const model_config& config,
                         const graph_weights& weights,
                         const kernels::rotary_table& rotary,
                         const trainable_linears& linears,
                         c10::ScalarType dtype, const at::Tensor& ids_bl) {
  const auto& c = config;
  const auto rows = ids_bl.size(0), length = ids_bl.size(1);
  const auto cos = rotary.cos_pd.narrow(0, 0, length);
  const auto sin = rotary.sin_pd.narrow(0, 0, length);
  const auto split = [&](const at::Tensor& x, std::int64_t heads) {
    return x.view({rows, length, heads, c.head_dim}).transpose(1, 2);
  };
  const auto mask = window_mask(c, ids_bl);
  const auto group = c.heads / c.kv_heads;

  auto x_bh = weights.embedding_vh.index_select(0, ids_bl.reshape({-1}))
                  .to(at::kFloat);
  if (at::GradMode::is_enabled() && !x_bh.requires_grad())
    x_bh.requires_grad_();
  for (std::int64_t l = 0; l < c.layers; ++l) {
    const auto project = [&](projection_kind kind, const at::Tensor& x) {
      return linears.apply(l, kind, x);
    };
    const auto norm = [&](std::int64_t which) {
      return rms_norm(x_bh,
                      weights.norms_h[static_cast<std::size_t>(2 * l + which)],
                      c.norm_epsilon, dtype);
    };
    const auto in = linears.apply_all(l, attention_inputs, norm(0));
    const auto q = rotate(split(in[0], c.heads), cos, sin);
    const auto k = rotate(split(in[1], c.kv_heads), cos, sin);
    const auto v = split(in[2], c.kv_heads);
    const auto attended =
        at::scaled_dot_product_attention(
            q, group == 1 ? k : k.repeat_interleave(group, 1),
            group == 1 ? v : v.repeat_interleave(group, 1), mask, 0.0, !mask)
            .transpose(1, 2)
            .reshape({rows * length, c.heads * c.head_dim});
    x_bh = x_bh + project(projection_kind::output, attended).to(at::kFloat);
    const auto mlp = linears.apply_all(l, mlp_inputs, norm(1));
    const auto gated = at::silu(mlp[0]) * mlp[1];
    x_bh = x_bh + project(projection_kind::down, gated).to(at::kFloat);
  }
  return rms_norm(x_bh, weights.final_norm_h, c.norm_epsilon, dtype);
}

}  // namespace t2
