#include "model/svf_training.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include "model/transformer.hpp"

namespace t2 {

svf_linears::svf_linears(transformer& net,
                         std::shared_ptr<const svf_layout> layout)
    : adapted_linears(net, layout->total()), layout_(std::move(layout)) {
  s_n_ = at::zeros({layout_->total()}, at::kFloat);
  // Where a projection's values lie; -1: it is not adapted.
  const auto begin = [&](const projection& where) {
    const auto place = layout_->find(where.layer, where.kind);
    return place < 0 ? std::int64_t{-1}
                     : layout_->offset(static_cast<std::size_t>(place));
  };
  for (const auto& linear : net.linears()) {
    auto& parts = factors_.emplace_back();
    for (std::size_t i = 0; i < linear.parts().size(); ++i) {
      const auto& where = linear.parts()[i];
      const auto at = begin(where);
      auto& f = parts.emplace_back();
      if (at < 0) continue;
      const auto& cached = linear.factors(i);
      f.u_mr = cached.u_mr.to(net.device()).to(net.dtype());
      f.v_nr = cached.v_nr.to(net.device()).to(net.dtype());
      f.grad_r = gradient_.narrow(0, at, where.rank());
      s_n_.narrow(0, at, where.rank()).copy_(cached.s_r);
    }
  }
  const auto embedding =
      layout_->find(projection::no_layer, projection_kind::embedding);
  if (embedding < 0) return;
  const auto& where = layout_->projections()[static_cast<std::size_t>(embedding)];
  const auto& cached = net.embedding_factors();
  embedding_ = {cached.u_mr, cached.v_nr,
                gradient_.narrow(0, begin(where), where.rank())};
  s_n_.narrow(0, begin(where), where.rank()).copy_(cached.s_r);
  embedding_layout_ = std::make_shared<svf_layout>(
      net.config(), *svf_targets::parse(to_string(where.kind)));
}

result<std::unique_ptr<svf_linears>> svf_linears::make(
    transformer& net, std::shared_ptr<const svf_layout> layout) {
  const c10::InferenceMode off{false};
  if (auto loaded = net.load_factors(*layout); !loaded) return loaded.error();
  return std::unique_ptr<svf_linears>(
      new svf_linears{net, std::move(layout)});
}

void svf_linears::set(const at::Tensor& d) {
  const c10::InferenceMode off{false};
  const at::NoGradGuard no_gradient;
  const auto& linears = net_.linears();
  const auto delta = *singular_delta::make(layout_, d);
  const std::int64_t row = 1;
  const step_deltas deltas{net_.config(), {&delta, 1}, {&row, 1},
                           net_.device()};
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const auto d_gr = deltas.columns(linears[i].factored());
    if (!d_gr.defined()) continue;
    const auto parts = linears[i].materialise_plain(d_gr[0]);
    replace(i, parts.size() == 1 ? parts.front() : at::cat(parts, 0));
  }
  if (!adapts_embedding()) return;
  const auto place =
      layout_->find(projection::no_layer, projection_kind::embedding);
  const auto of_embedding = delta->of(static_cast<std::size_t>(place));
  dense_.embedding = *singular_delta::make(embedding_layout_, of_embedding);
  embedding_d_r_ = of_embedding.to(net_.device());
}

at::Tensor svf_linears::embed(const at::Tensor& ids_b,
                              const at::Tensor& table_vh) const {
  const auto x_bh = adapted_linears::embed(ids_b, table_vh);
  if (!adapts_embedding()) return x_bh;
  return at::addmm(x_bh, embedding_.u_mr.index_select(0, ids_b) * embedding_d_r_,
                   embedding_.v_nr.t());
}

/// Row b is E_b + (U_b ⊙ d) Vᵀ, so ∂L/∂d = Σ_b U_b ⊙ (g_b V).
void svf_linears::embed_backward(const at::Tensor& ids_b,
                                 const at::Tensor& g_bh) const {
  if (!adapts_embedding()) return;
  embedding_.grad_r.add_((at::mm(g_bh, embedding_.v_nr) *
                          embedding_.u_mr.index_select(0, ids_b))
                             .sum(0));
}

bool svf_linears::adapts(std::size_t linear, std::size_t part) const {
  return factors_[linear][part].u_mr.defined();
}

void svf_linears::accumulate(std::size_t linear, std::size_t part,
                             const at::Tensor& x_bn,
                             const at::Tensor& g_bm) const {
  const auto& f = factors_[linear][part];
  const auto b = x_bn.size(0), n = x_bn.size(1), m = g_bm.size(1);
  const auto r = f.u_mr.size(1);
  // diag(Uᵀ (GᵀX) V) through one temporary of the weight's size, or
  // Σ_b (XV ⊙ GU)_b by two thin products.
  const bool one_temporary = b * m * n + m * n * r < b * r * (m + n);
  const auto left = one_temporary ? at::mm(at::mm(g_bm.t(), x_bn), f.v_nr)
                                  : at::mm(x_bn, f.v_nr);
  const auto right = one_temporary ? f.u_mr : at::mm(g_bm, f.u_mr);
  f.grad_r.add_((left.to(at::kFloat) * right.to(at::kFloat)).sum(0));
}

}  // namespace t2
