#include "model/svf_training.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <exception>

#include "model/answer_loss.hpp"
#include "model/language_model.hpp"
#include "model/training_graph.hpp"
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
        x_bn,
        reinterpret_cast<const trained_projection*>(projection)->weight_mn);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      const torch::autograd::variable_list& gradients) {
    const auto& p = *reinterpret_cast<const trained_projection*>(
        context->saved_data["projection"].toInt());
    const auto x_bn = context->get_saved_variables()[0];
    const auto g_bm = gradients[0].contiguous();
    p.accumulate(x_bn, g_bm);
    return {at::mm(g_bm, p.weight_mn), at::Tensor{}};
  }
};

/// The projections under the current delta, seven a layer.
class adapted_linears : public trainable_linears {
 public:
  std::vector<trained_projection> projections;

  trained_projection& at_place(std::int64_t layer, projection_kind kind) {
    return projections[static_cast<std::size_t>(layer * 7 +
                                                static_cast<int>(kind))];
  }

  at::Tensor apply(std::int64_t layer, projection_kind kind,
                   const at::Tensor& x_bn) const override {
    const auto& p = const_cast<adapted_linears*>(this)->at_place(layer, kind);
    auto y = p.adapted() ? adapted_linear::apply(
                               x_bn, reinterpret_cast<std::int64_t>(&p))
                         : at::linear(x_bn, p.weight_mn);
    return p.bias_m.defined() ? y + p.bias_m : y;
  }
};

}  // namespace

struct svf_trainer_model::state {
  std::shared_ptr<language_model> model;
  std::shared_ptr<const svf_layout> layout;
  at::Tensor s_n;             // all singular values
  mutable at::Tensor grad_n;  // flat, float32
  adapted_linears linears;
  graph_weights rest;
  at::Tensor head_vh;

  /// One pass; adds to `out` and, if wanted, to grad_n.
  void run(std::span<const std::size_t> chosen,
           std::span<const training_row> rows, svf_gradient& out,
           bool with_gradient) const {
    auto& net = model->network();
    const auto batch = pack(rows, chosen, model->device());
    const at::AutoGradMode mode{with_gradient};
    const auto hidden_ah =
        hidden_states(net.config(), rest, net.rotary(batch.ids_bl.size(1)),
                      linears, net.dtype(), batch.ids_bl)
            .index_select(0, batch.place_a);
    const auto loss = cross_entropy(hidden_ah, head_vh, batch, with_gradient);
    out.loss += loss.loss;
    for (std::size_t a = 0; a < batch.owners.size(); ++a)
      out.log_probabilities[batch.owners[a]] += loss.log_probabilities[a];
    if (with_gradient) hidden_ah.backward(loss.grad_hidden_ah);
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
  s.rest.embedding_vh = net.embedding();
  for (std::int64_t l = 0; l < net.config().layers; ++l)
    for (const int which : {0, 1}) s.rest.norms_h.push_back(net.norm(l, which));
  s.rest.final_norm_h = net.final_norm();
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
      s.linears.projections.push_back(std::move(p));
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
      s.linears.at_place(linear.layer(), linear.parts()[i].where.kind).weight_mn =
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
