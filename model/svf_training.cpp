#include "model/svf_training.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include "model/transformer.hpp"

namespace t2 {

svf_linears::svf_linears(transformer& net,
                         std::shared_ptr<const svf_layout> layout)
    : adapted_linears(net, layout->total()), layout_(std::move(layout)) {
  std::vector<at::Tensor> singular;
  for (const auto& linear : net.linears()) {
    auto& parts = factors_.emplace_back();
    for (std::size_t i = 0; i < linear.parts().size(); ++i) {
      const auto& where = linear.parts()[i].where;
      const auto place = layout_->find(where.layer, where.kind);
      auto& f = parts.emplace_back();
      if (place < 0) continue;
      const auto& cached = linear.factors()[i];
      f.u_mr = cached.u_mr.to(net.device()).to(net.dtype());
      f.v_nr = cached.v_nr.to(net.device()).to(net.dtype());
      f.grad_r = gradient_.narrow(
          0, layout_->offset(static_cast<std::size_t>(place)), where.rank());
      singular.push_back(cached.s_r);
    }
  }
  s_n_ = at::cat(singular, 0).to(at::kFloat).to(at::kCPU);
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
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const auto first =
        layout_->find(linears[i].layer(), linears[i].first_kind());
    if (first < 0) continue;
    const auto parts = linears[i].materialise_plain(
        d.narrow(0, layout_->offset(static_cast<std::size_t>(first)),
                 linears[i].ranks()));
    replace(i, parts.size() == 1 ? parts.front() : at::cat(parts, 0));
  }
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
