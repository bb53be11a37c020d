#include "model/svf_training.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <exception>
#include <numeric>

#include "model/language_model.hpp"
#include "model/transformer.hpp"

namespace t2 {
namespace {

/// One projection of the training step: W' and, where it is adapted, what its
/// gradient needs. Letters: B rows of a pass, M out, N in, R rank.
struct trained_projection {
  at::Tensor weight_mn;  // W', or W where nothing is adapted
  at::Tensor bias_m;
  at::Tensor u_mr, v_nr;  // undefined: not adapted
  at::Tensor grad_r;      // a view into the flat gradient, float32

  bool adapted() const { return u_mr.defined(); }

  void accumulate(const at::Tensor& x_bn, const at::Tensor& g_bm) const {
    const auto b = x_bn.size(0), n = x_bn.size(1), m = g_bm.size(1);
    const auto r = u_mr.size(1);
    if (b * m * n + m * n * r < b * r * (m + n)) {
      // diag(Uᵀ (GᵀX) V): one temporary of the weight's size.
      const auto gradient_mn = at::mm(g_bm.t(), x_bn);
      grad_r.add_((at::mm(gradient_mn, v_nr).to(at::kFloat) *
                   u_mr.to(at::kFloat))
                      .sum(0));
    } else {
      // Σ_b (XV ⊙ GU)_b: two thin products.
      grad_r.add_((at::mm(x_bn, v_nr).to(at::kFloat) *
                   at::mm(g_bm, u_mr).to(at::kFloat))
                      .sum(0));
    }
  }
};

/// y = x W'ᵀ whose backward adds ∂L/∂d to the projection's gradient and never
/// forms one for W'.
struct adapted_linear : torch::autograd::Function<adapted_linear> {
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x_bn, std::int64_t projection) {
    context->save_for_backward({x_bn});
    context->saved_data["projection"] = projection;
    return at::linear(
        x_bn, reinterpret_cast<trained_projection*>(projection)->weight_mn);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      const torch::autograd::variable_list& gradients) {
    const auto& p = *reinterpret_cast<trained_projection*>(
        context->saved_data["projection"].toInt());
    const auto x_bn = context->get_saved_variables()[0];
    const auto g_bm = gradients[0].contiguous();
    p.accumulate(x_bn, g_bm);
    return {at::mm(g_bm, p.weight_mn), at::Tensor{}};
  }
};

at::Tensor apply(trained_projection& p, const at::Tensor& x_bn) {
  auto y = p.adapted() ? adapted_linear::apply(
                             x_bn, reinterpret_cast<std::int64_t>(&p))
                       : at::linear(x_bn, p.weight_mn);
  return p.bias_m.defined() ? y + p.bias_m : y;
}

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

/// Rows of one pass, padded on the right: with causal attention no row sees
/// its padding.
struct pass {
  std::vector<std::size_t> rows;
  std::int64_t length = 0;
};

std::vector<pass> make_passes(std::span<const training_row> rows,
                              std::int64_t tokens_per_pass) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) {
    return rows[i].tokens.size();
  });
  std::vector<pass> passes;
  for (const auto i : order) {
    const auto length = static_cast<std::int64_t>(rows[i].tokens.size()) - 1;
    if (passes.empty() ||
        passes.back().length *
                static_cast<std::int64_t>(passes.back().rows.size() + 1) >
            tokens_per_pass)
      passes.push_back({{}, length});
    passes.back().rows.push_back(i);
  }
  return passes;
}

result<void> check(const training_row& row, std::int64_t vocabulary,
                   std::int64_t longest) {
  const auto size = static_cast<std::int64_t>(row.tokens.size());
  if (row.answer_begin < 1 || row.answer_begin >= row.tokens.size())
    return error{ec::invalid_argument,
                 "training row: expected an answer after at least one token, "
                 "found it at " +
                     std::to_string(row.answer_begin) + " of " +
                     std::to_string(size)};
  if (size > longest)
    return error{ec::invalid_argument, "training row: expected at most " +
                                           std::to_string(longest) +
                                           " tokens, found " +
                                           std::to_string(size)};
  if (row.weights.size() != row.tokens.size() - row.answer_begin)
    return error{ec::invalid_argument,
                 "training row: expected one weight for each answer token"};
  for (const auto token : row.tokens)
    if (token < 0 || token >= vocabulary)
      return error{ec::invalid_argument,
                   "training row: expected token ids below " +
                       std::to_string(vocabulary) + ", found " +
                       std::to_string(token)};
  return {};
}

}  // namespace

struct svf_trainer_model::state {
  std::shared_ptr<language_model> model;
  std::shared_ptr<const svf_layout> layout;
  at::Tensor s_n;                               // all singular values
  mutable at::Tensor grad_n;                    // flat, float32
  mutable std::vector<trained_projection> projections;  // seven a layer
  at::Tensor head_vh;

  trained_projection& at_place(std::int64_t layer, projection_kind kind) const {
    return projections[static_cast<std::size_t>(layer * 7 +
                                                static_cast<int>(kind))];
  }

  /// Hidden states after the last norm, [rows × length, H].
  at::Tensor hidden(const at::Tensor& ids_bl) const {
    auto& net = model->network();
    const auto& c = net.config();
    const auto rows = ids_bl.size(0), length = ids_bl.size(1);
    const auto dtype = net.dtype();
    const auto& table = net.rotary(length);
    const auto cos = table.cos_pd.narrow(0, 0, length);
    const auto sin = table.sin_pd.narrow(0, 0, length);
    const auto split = [&](const at::Tensor& x, std::int64_t heads) {
      return x.view({rows, length, heads, c.head_dim}).transpose(1, 2);
    };
    std::optional<at::Tensor> mask;
    if (c.sliding_window) {
      const auto at_row = at::arange(length, ids_bl.options()).unsqueeze(1);
      const auto at_key = at::arange(length, ids_bl.options()).unsqueeze(0);
      mask = (at_key <= at_row)
                 .logical_and(at_key > at_row - *c.sliding_window);
    }

    auto x_bh = net.embedding()
                    .index_select(0, ids_bl.reshape({-1}))
                    .to(at::kFloat);
    x_bh.requires_grad_(at::GradMode::is_enabled());
    for (std::int64_t l = 0; l < c.layers; ++l) {
      const auto project = [&](projection_kind kind, const at::Tensor& in) {
        return apply(at_place(l, kind), in);
      };
      const auto in_bh = rms_norm(x_bh, net.norm(l, 0), c.norm_epsilon, dtype);
      const auto q = rotate(
          split(project(projection_kind::query, in_bh), c.heads), cos, sin);
      const auto k = rotate(
          split(project(projection_kind::key, in_bh), c.kv_heads), cos, sin);
      const auto v = split(project(projection_kind::value, in_bh), c.kv_heads);
      const auto group = c.heads / c.kv_heads;
      const auto attended =
          at::scaled_dot_product_attention(
              q, group == 1 ? k : k.repeat_interleave(group, 1),
              group == 1 ? v : v.repeat_interleave(group, 1), mask, 0.0,
              !mask)
              .transpose(1, 2)
              .reshape({rows * length, c.heads * c.head_dim});
      x_bh = x_bh + project(projection_kind::output, attended).to(at::kFloat);
      const auto mlp_bh = rms_norm(x_bh, net.norm(l, 1), c.norm_epsilon, dtype);
      const auto gated = at::silu(project(projection_kind::gate, mlp_bh)) *
                         project(projection_kind::up, mlp_bh);
      x_bh = x_bh + project(projection_kind::down, gated).to(at::kFloat);
    }
    return rms_norm(x_bh, net.final_norm(), c.norm_epsilon, dtype);
  }

  /// One pass; adds to `out` and, if wanted, to grad_n.
  void run(const pass& p, std::span<const training_row> rows,
           svf_gradient& out, bool with_gradient) const {
    const auto device = model->device();
    const auto count = static_cast<std::int64_t>(p.rows.size());
    auto ids = at::zeros({count, p.length}, at::kLong);
    std::vector<std::int64_t> places, targets;
    std::vector<float> weights;
    std::vector<std::size_t> owner;
    for (std::int64_t b = 0; b < count; ++b) {
      const auto& row = rows[p.rows[static_cast<std::size_t>(b)]];
      auto* line = ids.data_ptr<std::int64_t>() + b * p.length;
      std::copy(row.tokens.begin(), row.tokens.end() - 1, line);
      for (auto i = row.answer_begin; i < row.tokens.size(); ++i) {
        places.push_back(b * p.length + static_cast<std::int64_t>(i) - 1);
        targets.push_back(row.tokens[i]);
        weights.push_back(row.weights[i - row.answer_begin]);
        owner.push_back(p.rows[static_cast<std::size_t>(b)]);
      }
    }
    const auto index = [&](std::vector<std::int64_t>& v) {
      return at::from_blob(v.data(), {static_cast<std::int64_t>(v.size())},
                           at::kLong)
          .clone()
          .to(device);
    };
    const auto target_a = index(targets);
    const auto weight_a =
        at::from_blob(weights.data(),
                      {static_cast<std::int64_t>(weights.size())}, at::kFloat)
            .clone()
            .to(device);

    const at::AutoGradMode mode{with_gradient};
    const auto hidden_ah =
        hidden(ids.to(device)).index_select(0, index(places));

    // The head is not differentiated through the graph: its gradient with
    // respect to the hidden states is (softmax − one-hot) · head, computed
    // for as many positions at a time as 64 MiB of logits hold.
    const at::NoGradGuard no_gradient;
    const auto gradient_ah =
        with_gradient ? at::empty_like(hidden_ah) : at::Tensor{};
    const auto at_once = std::max<std::int64_t>(
        1, (std::int64_t{64} << 20) / (4 * head_vh.size(0)));
    for (std::int64_t a = 0; a < hidden_ah.size(0); a += at_once) {
      const auto n = std::min(at_once, hidden_ah.size(0) - a);
      auto logits =
          at::linear(hidden_ah.narrow(0, a, n), head_vh).to(at::kFloat);
      const auto target = target_a.narrow(0, a, n).unsqueeze(1);
      const auto weight = weight_a.narrow(0, a, n);
      auto log_p = at::log_softmax(logits, 1);
      const auto chosen =
          log_p.gather(1, target).squeeze(1).to(at::kCPU).to(at::kDouble);
      const auto* values = chosen.const_data_ptr<double>();
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at_i = static_cast<std::size_t>(a + i);
        out.log_probabilities[owner[at_i]] += values[i];
        out.loss -= static_cast<double>(weights[at_i]) * values[i];
      }
      if (!with_gradient) continue;
      auto d_logits = log_p.exp_();
      d_logits.scatter_add_(1, target, at::full_like(target, -1, at::kFloat));
      d_logits.mul_(weight.unsqueeze(1));
      gradient_ah.narrow(0, a, n).copy_(
          at::mm(d_logits.to(head_vh.scalar_type()), head_vh));
    }
    if (with_gradient) hidden_ah.backward(gradient_ah);
  }

  result<svf_gradient> run_all(std::span<const training_row> rows,
                               std::int64_t tokens_per_pass,
                               bool with_gradient) const {
    const auto& c = model->config();
    for (const auto& row : rows)
      if (auto ok = check(row, c.vocabulary, c.max_positions); !ok)
        return ok.error();
    svf_gradient out;
    out.log_probabilities.resize(rows.size());
    grad_n.zero_();
    try {
      const c10::InferenceMode off{false};
      for (const auto& p : make_passes(rows, tokens_per_pass))
        run(p, rows, out, with_gradient);
    } catch (const std::exception& e) {
      const std::string what = e.what();
      return error{ec::internal,
                   "training step failed: " + what.substr(0, what.find('\n'))};
    }
    if (with_gradient) out.grad_d = grad_n.to(at::kCPU).clone();
    return out;
  }
};

svf_trainer_model::svf_trainer_model() : state_(std::make_unique<state>()) {}
svf_trainer_model::~svf_trainer_model() = default;

result<std::unique_ptr<svf_trainer_model>> svf_trainer_model::make(
    std::shared_ptr<language_model> model,
    std::shared_ptr<const svf_layout> layout) {
  const c10::InferenceMode off{false};
  auto& net = model->network();
  if (auto loaded = net.load_factors(*layout); !loaded) return loaded.error();
  auto trainer = std::unique_ptr<svf_trainer_model>(new svf_trainer_model);
  auto& s = *trainer->state_;
  const auto dtype = net.dtype();
  const auto device = net.device();
  s.grad_n = at::zeros({layout->total()},
                       at::TensorOptions().dtype(at::kFloat).device(device));
  s.head_vh = net.head().to(device).to(dtype);
  std::vector<at::Tensor> singular;
  for (const auto& linear : net.linears()) {
    const auto plain = linear.plain();
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const auto& part = linear.parts()[i];
      trained_projection p;
      p.weight_mn = plain[i];
      if (part.bias_m.defined()) p.bias_m = part.bias_m.to(device).to(dtype);
      const auto place = layout->find(part.where.layer, part.where.kind);
      if (place >= 0) {
        const auto& f = linear.factors()[i];
        p.u_mr = f.u_mr.to(device).to(dtype);
        p.v_nr = f.v_nr.to(device).to(dtype);
        p.grad_r = s.grad_n.narrow(
            0, layout->offset(static_cast<std::size_t>(place)),
            part.where.rank());
        singular.push_back(f.s_r);
      }
      s.projections.push_back(std::move(p));
    }
  }
  s.s_n = at::cat(singular, 0).to(at::kFloat).to(at::kCPU);
  s.model = std::move(model);
  s.layout = std::move(layout);
  return trainer;
}

void svf_trainer_model::set_delta(const at::Tensor& d) {
  const at::NoGradGuard no_gradient;
  auto& s = *state_;
  for (const auto& linear : s.model->network().linears()) {
    const auto first = s.layout->find(linear.layer(), linear.first_kind());
    if (first < 0) continue;
    const auto dense = linear.materialise_plain(d.narrow(
        0, s.layout->offset(static_cast<std::size_t>(first)), linear.ranks()));
    for (std::size_t i = 0; i < dense.size(); ++i)
      s.at_place(linear.layer(), linear.parts()[i].where.kind).weight_mn =
          dense[i];
  }
}

result<svf_gradient> svf_trainer_model::loss_and_gradient(
    std::span<const training_row> rows, std::int64_t tokens_per_pass) const {
  return state_->run_all(rows, tokens_per_pass, true);
}

result<svf_gradient> svf_trainer_model::loss(
    std::span<const training_row> rows, std::int64_t tokens_per_pass) const {
  return state_->run_all(rows, tokens_per_pass, false);
}

const at::Tensor& svf_trainer_model::singular_values() const {
  return state_->s_n;
}

}  // namespace t2
