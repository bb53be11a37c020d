#include "model/svd.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "config/first_line.hpp"

namespace t2 {
namespace {

constexpr std::array<std::pair<svd_method, std::string_view>, 3> method_names{{
    {svd_method::gram64, "gram64"},
    {svd_method::gesdd, "gesdd"},
    {svd_method::gesdd64, "gesdd64"},
}};

struct raw_factors {
  at::Tensor u_mr, s_r, v_nr;
};

/// A Aᵀ (k × k) by rows of blocks, the lower triangle only: eigh reads no
/// other. Six rows of blocks do 21/36 of the products.
at::Tensor lower_gram(const at::Tensor& a_kn) {
  const auto k = a_kn.size(0);
  const auto block = std::max<std::int64_t>(96, (k / 6 + 31) / 32 * 32);
  auto gram_kk = at::empty({k, k}, a_kn.options());
  for (std::int64_t start = 0; start < k; start += block) {
    const auto stop = std::min(k, start + block);
    auto out = gram_kk.slice(0, start, stop).slice(1, 0, stop);
    at::mm_out(out, a_kn.slice(0, start, stop), a_kn.slice(0, 0, stop).t());
  }
  return gram_kk;
}

/// Nothing where the smallest singular value is beyond what squaring leaves.
std::optional<raw_factors> by_gram(const at::Tensor& w_mn) {
  const bool wide = w_mn.size(0) <= w_mn.size(1);
  const auto a_kn = wide ? w_mn : w_mn.t();  // k = r
  const auto k = a_kn.size(0);
  // In float64 the Gram matrix is off by 1e-16 σ₁², so singular vectors of σ
  // are orthogonal to (σ₁/σ)² 1e-16: 1e-6 at this ratio, within tolerance.
  constexpr double smallest_ratio = 1e-5;
  // V = Aᵀ U / σ in float32 is off by 3e-8 σ₁/σ: good enough near σ₁ only.
  constexpr double float32_ratio = 1.0 / 8;

  const auto wide_kn = a_kn.to(at::kDouble).contiguous();
  auto [lambda_k, q_kk] = at::linalg_eigh(lower_gram(wide_kn), "L");
  const auto s_k = lambda_k.flip(0).clamp_min(0).sqrt();
  const auto largest = s_k[0].item<double>();
  if (!(s_k[k - 1].item<double>() > smallest_ratio * largest))
    return std::nullopt;
  const auto u_kk = q_kk.flip(1);
  const auto scaled_kk = u_kk / s_k;
  const auto split = s_k.ge(largest * float32_ratio).sum().item<std::int64_t>();

  auto v_nk = at::empty({a_kn.size(1), k}, w_mn.options());
  auto head = v_nk.slice(1, 0, split);
  at::mm_out(head, a_kn.t(), scaled_kk.slice(1, 0, split).to(at::kFloat));
  if (split < k)
    v_nk.slice(1, split)
        .copy_(at::mm(wide_kn.t(), scaled_kk.slice(1, split)));
  const auto u_float = u_kk.to(at::kFloat);
  return wide ? raw_factors{u_float, s_k.to(at::kFloat), v_nk}
              : raw_factors{v_nk, s_k.to(at::kFloat), u_float};
}

raw_factors by_gesdd(const at::Tensor& w_mn, at::ScalarType dtype) {
  auto [u_mr, s_r, vh_rn] =
      at::linalg_svd(w_mn.to(dtype), /*full_matrices=*/false);
  return {u_mr.to(at::kFloat), s_r.to(at::kFloat),
          vh_rn.t().to(at::kFloat)};
}

std::optional<raw_factors> run(const at::Tensor& w_mn, svd_method method) {
  switch (method) {
    case svd_method::gram64: return by_gram(w_mn);
    case svd_method::gesdd: return by_gesdd(w_mn, at::kFloat);
    case svd_method::gesdd64: return by_gesdd(w_mn, at::kDouble);
  }
  return std::nullopt;
}

svd_factors with_fixed_signs(raw_factors raw) {
  const auto at_1r = raw.u_mr.abs().argmax(0, /*keepdim=*/true);
  const auto entry_1r = raw.u_mr.gather(0, at_1r);
  const auto sign_1r = at::where(entry_1r < 0, -at::ones_like(entry_1r),
                                 at::ones_like(entry_1r));
  svd_factors factors;
  factors.u_mr = (raw.u_mr * sign_1r).contiguous();
  factors.s_r = raw.s_r.contiguous();
  factors.v_nr = (raw.v_nr * sign_1r).contiguous();
  return factors;
}

/// ±1 from a counter, so that a check gives the same answer every time.
at::Tensor probes(std::int64_t rows, const at::TensorOptions& options) {
  constexpr std::int64_t count = 16;
  auto host = at::empty({rows, count}, at::kFloat);
  auto* out = host.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < rows * count; ++i) {
    // splitmix64
    auto x = static_cast<std::uint64_t>(i + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    out[i] = (x >> 63) != 0 ? 1.0f : -1.0f;
  }
  return host.to(options);
}

/// The largest row norm of QᵀQ − I.
double orthogonality(const at::Tensor& q_kr) {
  const auto x_rp = probes(q_kr.size(1), q_kr.options());
  const auto e_rp = at::mm(q_kr.t(), at::mm(q_kr, x_rp)).sub_(x_rp);
  const auto per_probe = std::sqrt(static_cast<double>(x_rp.size(1)));
  return at::linalg_vector_norm(e_rp, 2, at::IntArrayRef{1})
             .max()
             .item<double>() /
         per_probe;
}

}  // namespace

std::string_view to_string(svd_method method) {
  for (const auto& [known, name] : method_names)
    if (known == method) return name;
  return "unknown";
}

result<svd_method> parse_svd_method(std::string_view text) {
  for (const auto& [method, name] : method_names)
    if (name == text) return method;
  return error{ec::invalid_argument,
               "svd method: expected gram64, gesdd or gesdd64, found '" +
                   std::string{text} + "'"};
}

bool svd_quality::acceptable() const {
  // Written so that NaN fails.
  return reconstruction <= svd_tolerance::reconstruction &&
         orthogonality_u <= svd_tolerance::orthogonality &&
         orthogonality_v <= svd_tolerance::orthogonality;
}

svd_quality measure_svd(const at::Tensor& w_mn, const svd_factors& factors) {
  const at::NoGradGuard no_gradients;
  const auto& [u_mr, s_r, v_nr] = factors;
  const auto w = w_mn.to(at::kFloat);
  const auto x_np = probes(w.size(1), w.options());
  const auto difference_mp =
      at::mm(u_mr * s_r, at::mm(v_nr.t(), x_np)).sub_(at::mm(w, x_np));
  const auto norm = [](const at::Tensor& t) {
    return at::linalg_vector_norm(t, 2, at::OptionalIntArrayRef{}, false,
                                  at::kDouble)
        .item<double>();
  };
  const auto off = norm(difference_mp) /
                   std::sqrt(static_cast<double>(x_np.size(1)));
  const auto whole = norm(w);
  return {.reconstruction = off == 0 ? 0 : off / whole,
          .orthogonality_u = orthogonality(u_mr),
          .orthogonality_v = orthogonality(v_nr)};
}

result<svd_factors> decompose(const at::Tensor& w_mn, svd_method method) {
  auto checked = decompose_checked(w_mn, method);
  if (!checked) return checked.error();
  return std::move(checked->factors);
}

result<checked_svd> decompose_checked(const at::Tensor& w_mn,
                                      svd_method method) {
  const at::NoGradGuard no_gradients;
  if (w_mn.dim() != 2 || w_mn.numel() == 0)
    return error{ec::invalid_argument,
                 "svd: expected a matrix, found " +
                     std::to_string(w_mn.dim()) + " dimensions and " +
                     std::to_string(w_mn.numel()) + " elements"};
  const auto w = w_mn.detach().to(at::kFloat).contiguous();
  if (!std::isfinite(w.abs().max().item<float>()))
    return error{ec::invalid_argument,
                 "svd: expected finite values, found NaN or infinity"};
  std::string trouble = "the check failed";
  for (const auto attempt : {method, svd_method::gesdd64}) {
    try {
      auto raw = run(w, attempt);
      if (!raw) continue;
      checked_svd out{.factors = with_fixed_signs(std::move(*raw)),
                      .method = attempt,
                      .quality = {}};
      out.quality = measure_svd(w, out.factors);
      if (out.quality.acceptable()) return out;
    } catch (const std::exception& problem) {
      // LAPACK that does not converge, or no memory: one line of it.
      trouble = first_line(problem.what());
    }
  }
  return error{ec::internal, "svd: expected an accurate decomposition of " +
                                 std::to_string(w.size(0)) + " x " +
                                 std::to_string(w.size(1)) + ", found: " +
                                 trouble};
}

}  // namespace t2
