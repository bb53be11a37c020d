#include "model/svf_linear.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace t2 {

svf_linear::svf_linear(std::vector<part> parts, c10::ScalarType dtype,
                       c10::Device device, const kernels::backend& backend)
    : dtype_(dtype),
      device_(device),
      backend_(&backend),
      factors_(parts.size()) {
  std::vector<weight_reader> weights;
  std::vector<at::Tensor> biases;
  bool any_bias = false;
  for (auto& p : parts) {
    any_bias |= p.bias_m.defined();
    biases.push_back(p.bias_m.defined()
                         ? p.bias_m
                         : at::zeros({p.where.out_features}, at::kFloat));
    weights.push_back(std::move(p.weight_mn));
    parts_.push_back(std::move(p.where));
  }
  base_ = make_dense_base(std::move(weights), dtype, device);
  if (any_bias) {
    for (auto& b : biases) b = b.to(at::kFloat);
    bias_m_ = at::cat(biases, 0).to(dtype_).to(device_);
  }
}

std::size_t svf_linear::part_of(projection_kind kind) const {
  const auto at = std::ranges::find(parts_, kind, &projection::kind);
  return static_cast<std::size_t>(at - parts_.begin());
}

at::Tensor svf_linear::plain() const {
  std::vector<at::Tensor> weights;
  for (std::size_t i = 0; i < parts_.size(); ++i)
    weights.push_back(decode(i).to(dtype_));
  return weights.size() == 1 ? weights.front().contiguous()
                             : at::cat(weights, 0);
}

result<bool> svf_linear::load_factors(const svf_layout& layout,
                                      const svd_cache& cache,
                                      const checkpoint& weights) {
  auto factors = factors_;
  bool any = false;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto& where = parts_[i];
    if (factors[i].s_r.defined() || layout.find(where.layer, where.kind) < 0)
      continue;
    auto loaded = cache.load_or_compute(weights, where);
    if (!loaded) return loaded.error();
    factors[i] = *std::move(loaded);
    any = true;
  }
  if (any) set_factors(std::move(factors));
  return any;
}

void svf_linear::set_factors(std::vector<svd_factors> factors) {
  std::vector<at::Tensor> v_rn, s_r;
  factored_.clear();
  u_.clear();
  ranks_ = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto& f = factors[i];
    if (!f.s_r.defined()) continue;
    factored_.push_back(parts_[i]);
    ranks_ += parts_[i].rank();
    v_rn.push_back(f.v_nr.t());
    s_r.push_back(f.s_r);
    u_.emplace_back(f.u_mr.to(device_).to(dtype_));
  }
  s_r_ = at::cat(s_r, 0).to(device_);
  v_ = linear_weight{at::cat(v_rn, 0).to(device_).to(dtype_)};
  factors_ = std::move(factors);
}

std::vector<at::Tensor> svf_linear::materialise_plain(
    const at::Tensor& d_r) const {
  std::vector<at::Tensor> dense;
  std::int64_t rank = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto& f = factors_[i];
    if (!f.s_r.defined()) {
      dense.push_back(decode(i).to(dtype_));
      continue;
    }
    const auto d = d_r.narrow(0, rank, f.s_r.size(0)).to(device_);
    const auto scaled = (f.u_mr.to(device_) * d).to(dtype_);
    const auto v = f.v_nr.to(device_).to(dtype_);
    const auto weight = decode(i);
    dense.push_back(
        dtype_ == at::kFloat
            ? at::addmm(weight.to(at::kFloat), scaled, v.t())
            : (weight.to(at::kFloat) + at::mm(scaled, v.t())).to(dtype_));
    rank += f.s_r.size(0);
  }
  return dense;
}

linear_weight svf_linear::materialise(const at::Tensor& d_r) const {
  return linear_weight{at::cat(materialise_plain(d_r), 0)};
}

at::Tensor svf_linear::with_bias(at::Tensor y_tm) const {
  return bias_m_.defined() ? y_tm.add_(bias_m_) : y_tm;
}

at::Tensor svf_linear::low_rank(const at::Tensor& x_tn, const at::Tensor& d_gr,
                                const at::Tensor& shift_r,
                                std::span<const std::int32_t> rows) const {
  auto p_tr = v_.apply(x_tn);
  backend_->scale_rows(p_tr, d_gr, shift_r, rows);
  if (factored_.size() == 1) return u_.front().apply(p_tr);
  std::vector<at::Tensor> outputs;
  std::int64_t rank = 0;
  for (std::size_t i = 0; i < factored_.size(); ++i) {
    const auto r = factored_[i].rank();
    outputs.push_back(u_[i].apply(p_tr.narrow(1, rank, r)));
    rank += r;
  }
  return at::cat(outputs, 1);
}

void svf_linear::add_to(at::Tensor y_tm, const at::Tensor& low_rank) const {
  if (all_factored()) {
    y_tm.add_(low_rank);
    return;
  }
  std::int64_t from = 0, to = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto width = parts_[i].out_features;
    if (factors_[i].s_r.defined()) {
      y_tm.narrow(1, to, width).add_(low_rank.narrow(1, from, width));
      from += width;
    }
    to += width;
  }
}

thin_factors svf_linear::thin(const at::Tensor& d_gr, std::int64_t rank) const {
  std::vector<at::Tensor> index, v_kn, u_mk;
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto& f = factors_[i];
    if (!f.s_r.defined()) {
      u_mk.push_back(at::zeros({parts_[i].out_features, 0}, at::kFloat));
      continue;
    }
    const auto all = f.s_r.size(0);
    const auto size = d_gr.narrow(1, begin, all).abs().amax(0).to(at::kCPU);
    const auto chosen =
        std::get<0>(std::get<1>(size.topk(std::min(rank, all))).sort());
    v_kn.push_back(f.v_nr.index_select(1, chosen).t());
    u_mk.push_back(f.u_mr.index_select(1, chosen));
    index.push_back(chosen + begin);
    begin += all;
  }
  const auto ready = [&](const at::Tensor& w) {
    return linear_weight{w.to(device_).to(dtype_)};
  };
  return {.index_k = at::cat(index, 0).to(d_gr.device()),
          .v = ready(at::cat(v_kn, 0)),
          .u = ready(at::block_diag(u_mk))};
}

at::Tensor svf_linear::apply_base(const at::Tensor& x_tn) const {
  return with_bias(base_->apply(x_tn));
}

at::Tensor svf_linear::apply_dense(const at::Tensor& x_tn,
                                   const linear_weight& w) const {
  return with_bias(w.apply(x_tn));
}

at::Tensor svf_linear::apply_factored(
    const at::Tensor& x_tn, const at::Tensor& d_gr,
    std::span<const std::int32_t> rows) const {
  if (!all_factored()) return apply_delta(x_tn, d_gr, rows, 0);
  return with_bias(low_rank(x_tn, d_gr, s_r_, rows));
}

at::Tensor svf_linear::apply_delta(const at::Tensor& x_tn,
                                   const at::Tensor& d_gr,
                                   std::span<const std::int32_t> rows,
                                   std::int64_t first,
                                   const thin_factors* thin) const {
  const auto count = x_tn.size(0) - first;
  const auto adapted = rows.subspan(static_cast<std::size_t>(first));
  const auto x_an = x_tn.narrow(0, first, count);
  auto y_tm = base_->apply(x_tn);
  if (!thin) {
    add_to(y_tm.narrow(0, first, count), low_rank(x_an, d_gr, {}, adapted));
    return with_bias(std::move(y_tm));
  }
  auto p_ak = thin->v.apply(x_an);
  backend_->scale_rows(p_ak, d_gr.index_select(1, thin->index_k), {}, adapted);
  const auto y_am = thin->u.apply_onto(y_tm.narrow(0, first, count), p_ak);
  if (first == 0) return with_bias(y_am);
  y_tm.narrow(0, first, count).copy_(y_am);
  return with_bias(std::move(y_tm));
}

}  // namespace t2
