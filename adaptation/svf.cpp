#include "adaptation/svf.hpp"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/sigmoid.h>

#include <cmath>
#include <span>
#include <string>

namespace t2 {
namespace {

std::span<const float> values(const at::Tensor& t) {
  return {t.const_data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

std::span<float> mutable_values(at::Tensor& t) {
  return {t.mutable_data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

struct segment {
  std::size_t begin, end;
};

segment segment_of(const svf_layout& layout, std::size_t p) {
  const auto begin = static_cast<std::size_t>(layout.offset(p));
  return {begin,
          begin + static_cast<std::size_t>(layout.projections()[p].rank())};
}

double dot(std::span<const float> a, std::span<const float> b, segment at) {
  double sum = 0;
  for (auto i = at.begin; i < at.end; ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

double total(std::span<const float> a, segment at) {
  double sum = 0;
  for (auto i = at.begin; i < at.end; ++i) sum += double{a[i]};
  return sum;
}

// e, or d where `scale_by_s`: the product is rounded once.
result<at::Tensor> change(const at::Tensor& z, const at::Tensor& s,
                          svf_norm norm, const svf_layout& layout,
                          bool scale_by_s) {
  if (z.numel() != layout.total() || s.numel() != layout.total())
    return error{ec::invalid_argument,
                 "z: expected " + std::to_string(layout.total()) +
                     " entries, found " + std::to_string(z.numel())};
  const at::Tensor z_flat = z.contiguous(), s_flat = s.contiguous();
  const auto zs = values(z_flat), ss = values(s_flat);
  at::Tensor out = at::empty_like(z_flat);
  auto outs = mutable_values(out);
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const segment at = segment_of(layout, p);
    const std::string& name = layout.projections()[p].weight;
    for (auto i = at.begin; i < at.end; ++i)
      if (!std::isfinite(zs[i]))
        return error{ec::invalid_argument,
                     name + ": expected finite z, found " +
                         std::to_string(zs[i]) + " at " +
                         std::to_string(i - at.begin)};
    double nu = 1;
    if (norm == svf_norm::nuclear) {
      const double kept = dot(ss, zs, at);
      if (!(kept > 0))
        return error{ec::invalid_argument,
                     name + ": expected a sum of s*z above 0 for the nuclear "
                            "norm, found " +
                         std::to_string(kept)};
      nu = total(ss, at) / kept;
    }
    for (auto i = at.begin; i < at.end; ++i) {
      const double e = nu * double{zs[i]} - 1;
      outs[i] = static_cast<float>(scale_by_s ? e * double{ss[i]} : e);
    }
  }
  return out;
}

}  // namespace

result<at::Tensor> relative_change(const at::Tensor& z, const at::Tensor& s,
                                   svf_norm norm, const svf_layout& layout) {
  return change(z, s, norm, layout, false);
}

result<at::Tensor> delta_from_z(const at::Tensor& z, const at::Tensor& s,
                                svf_norm norm, const svf_layout& layout) {
  return change(z, s, norm, layout, true);
}

at::Tensor gradient_of_z(const at::Tensor& g, const at::Tensor& z,
                         const at::Tensor& s, svf_norm norm,
                         const svf_layout& layout) {
  const at::Tensor g_flat = g.contiguous(), z_flat = z.contiguous(),
                   s_flat = s.contiguous();
  const auto gs = values(g_flat), zs = values(z_flat), ss = values(s_flat);
  at::Tensor out = at::empty_like(g_flat);
  auto outs = mutable_values(out);
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const segment at = segment_of(layout, p);
    double nu = 1, shift = 0;
    if (norm == svf_norm::nuclear) {
      const double kept = dot(ss, zs, at);
      nu = total(ss, at) / kept;
      double along = 0;  // <g, s*z>
      for (auto i = at.begin; i < at.end; ++i)
        along += double{gs[i]} * double{ss[i]} * double{zs[i]};
      shift = along / kept;
    }
    for (auto i = at.begin; i < at.end; ++i)
      outs[i] =
          static_cast<float>(nu * double{ss[i]} * (double{gs[i]} - shift));
  }
  return out;
}

at::Tensor z_from_parameter(const at::Tensor& p,
                            svf_parametrisation parametrisation) {
  if (parametrisation == svf_parametrisation::direct) return p;
  return at::sigmoid(p).mul_(2);
}

at::Tensor gradient_of_parameter(const at::Tensor& grad_z, const at::Tensor& p,
                                 svf_parametrisation parametrisation) {
  if (parametrisation == svf_parametrisation::direct) return grad_z;
  // d/dp 2 sigmoid(p) = 2 sigmoid(p) (1 − sigmoid(p))
  const at::Tensor half = at::sigmoid(p);
  return grad_z.mul(half).mul_(half.neg().add_(1)).mul_(2);
}

double base_parameter(svf_parametrisation parametrisation) {
  return parametrisation == svf_parametrisation::direct ? 1 : 0;
}

}  // namespace t2
