#include "model/svf_linear.hpp"

#include <ATen/ATen.h>

namespace t2 {

svf_linear::svf_linear(std::vector<part> parts, c10::ScalarType dtype,
                       c10::Device device, const kernels::backend& backend)
    : parts_(std::move(parts)),
      dtype_(dtype),
      device_(device),
      backend_(&backend) {
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
  backend_->scale_rows(p_tr, d_gr, shift_r, rows);
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

thin_factors svf_linear::thin(const at::Tensor& d_gr, std::int64_t rank) const {
  std::vector<at::Tensor> index, v_kn, u_mk;
  std::int64_t begin = 0;
  for (const auto& f : factors_) {
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
                                   std::int64_t first,
                                   const thin_factors* thin) const {
  const auto count = x_tn.size(0) - first;
  const auto adapted = rows.subspan(static_cast<std::size_t>(first));
  const auto x_an = x_tn.narrow(0, first, count);
  auto y_tm = base_.apply(x_tn);
  if (!thin) {
    y_tm.narrow(0, first, count).add_(low_rank(x_an, d_gr, {}, adapted));
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
