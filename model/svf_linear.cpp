#include "model/svf_linear.hpp"

#include <ATen/ATen.h>

#include "model/kernels.hpp"

namespace t2 {

svf_linear::svf_linear(std::vector<part> parts, c10::ScalarType dtype,
                       c10::Device device)
    : parts_(std::move(parts)), dtype_(dtype), device_(device) {
  std::vector<at::Tensor> biases;
  bool any_bias = false;
  for (const auto& p : parts_) {
    ranks_ += p.where.rank();
    any_bias |= p.bias_m.defined();
    biases.push_back(p.bias_m.defined()
                         ? p.bias_m
                         : at::zeros({p.where.out_features}, at::kFloat));
  }
  base_ = linear_weight{at::cat(plain(), 0)};
  if (any_bias) {
    for (auto& b : biases) b = b.to(at::kFloat);
    bias_m_ = at::cat(biases, 0).to(dtype_).to(device_);
  }
}

std::vector<at::Tensor> svf_linear::plain() const {
  std::vector<at::Tensor> weights;
  for (const auto& p : parts_)
    weights.push_back(p.weight_mn.to(device_).to(dtype_));
  return weights;
}

result<void> svf_linear::load_factors(const svd_cache& cache,
                                      const checkpoint& weights) {
  if (has_factors()) return {};
  std::vector<svd_factors> factors;
  for (const auto& p : parts_) {
    auto loaded = cache.load_or_compute(weights, p.where);
    if (!loaded) return loaded.error();
    factors.push_back(*std::move(loaded));
  }
  set_factors(std::move(factors));
  return {};
}

void svf_linear::set_factors(std::vector<svd_factors> factors) {
  std::vector<at::Tensor> v_rn, s_r;
  for (const auto& f : factors) {
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
    const auto d = d_r.narrow(0, rank, f.s_r.size(0)).to(device_);
    const auto scaled = (f.u_mr.to(device_) * d).to(dtype_);
    const auto v = f.v_nr.to(device_).to(dtype_);
    const auto weight = parts_[i].weight_mn.to(device_);
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
  kernels::scale_rows(p_tr, d_gr, shift_r, rows);
  if (parts_.size() == 1) return u_.front().apply(p_tr);
  std::vector<at::Tensor> outputs;
  std::int64_t rank = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto r = parts_[i].where.rank();
    outputs.push_back(u_[i].apply(p_tr.narrow(1, rank, r)));
    rank += r;
  }
  return at::cat(outputs, 1);
}

at::Tensor svf_linear::apply_base(const at::Tensor& x_tn) const {
  return with_bias(base_.apply(x_tn));
}

at::Tensor svf_linear::apply_dense(const at::Tensor& x_tn,
                                   const linear_weight& w) const {
  return with_bias(w.apply(x_tn));
}

at::Tensor svf_linear::apply_factored(
    const at::Tensor& x_tn, const at::Tensor& d_gr,
    std::span<const std::int32_t> rows) const {
  return with_bias(low_rank(x_tn, d_gr, s_r_, rows));
}

at::Tensor svf_linear::apply_delta(const at::Tensor& x_tn,
                                   const at::Tensor& d_gr,
                                   std::span<const std::int32_t> rows,
                                   std::int64_t first) const {
  auto y_tm = base_.apply(x_tn);
  const auto count = x_tn.size(0) - first;
  y_tm.narrow(0, first, count)
      .add_(low_rank(x_tn.narrow(0, first, count), d_gr, {},
                     rows.subspan(static_cast<std::size_t>(first))));
  return with_bias(std::move(y_tm));
}

}  // namespace t2
