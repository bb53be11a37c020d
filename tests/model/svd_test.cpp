#include "model/svd.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace t2 {
namespace {

at::Tensor random_matrix(std::int64_t m, std::int64_t n, std::uint64_t seed) {
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  generator.set_current_seed(seed);
  return at::randn({m, n}) * 0.05;
}

/// A matrix with a given spectrum, as rounded as a bf16 checkpoint.
at::Tensor with_spectrum(std::int64_t m, std::int64_t n, const at::Tensor& s) {
  const auto u = std::get<0>(at::linalg_qr(random_matrix(m, s.numel(), 5)));
  const auto v = std::get<0>(at::linalg_qr(random_matrix(n, s.numel(), 6)));
  return at::matmul(u * s, v.t());
}

double largest(const at::Tensor& t) { return t.abs().max().item<double>(); }

/// Exact products in float64, all entries: nothing of the code's own check.
void expect_accurate(const at::Tensor& w, const svd_factors& f) {
  const auto r = std::min(w.size(0), w.size(1));
  ASSERT_EQ(f.u_mr.sizes(), (at::IntArrayRef{w.size(0), r}));
  ASSERT_EQ(f.s_r.sizes(), (at::IntArrayRef{r}));
  ASSERT_EQ(f.v_nr.sizes(), (at::IntArrayRef{w.size(1), r}));
  EXPECT_TRUE(f.u_mr.is_contiguous() && f.v_nr.is_contiguous());
  EXPECT_EQ(f.u_mr.scalar_type(), at::kFloat);
  const auto u = f.u_mr.to(at::kDouble), s = f.s_r.to(at::kDouble),
             v = f.v_nr.to(at::kDouble), exact = w.to(at::kDouble);
  const auto identity = at::eye(r, at::kDouble);
  const auto difference = at::matmul(u * s, v.t()) - exact;
  const auto scale = exact.norm().item<double>();
  EXPECT_LE(difference.norm().item<double>(), 2e-6 * scale);
  EXPECT_LE(largest(at::matmul(u.t(), u) - identity), 5e-6);
  EXPECT_LE(largest(at::matmul(v.t(), v) - identity), 5e-6);
  EXPECT_GE(s.min().item<double>(), 0);
  if (r > 1) {
    EXPECT_LE((s.slice(0, 1) - s.slice(0, 0, -1)).max().item<double>(), 0);
  }
  const auto reference = at::linalg_svdvals(exact);
  EXPECT_LE(largest(s - reference), 1e-6 * reference[0].item<double>() + 1e-30);
}

TEST(svd, is_accurate_for_wide_tall_and_square_weights) {
  for (const auto& [m, n] : std::vector<std::pair<int, int>>{
           {64, 64}, {192, 576}, {576, 192}, {300, 299}, {1, 40}, {40, 1},
           {1, 1}}) {
    SCOPED_TRACE(std::to_string(m) + " x " + std::to_string(n));
    const auto w = random_matrix(m, n, 1);
    const auto f = decompose(w);
    ASSERT_TRUE(f) << f.error().message;
    expect_accurate(w, *f);
  }
}

TEST(svd, is_accurate_for_every_method) {
  const auto w = random_matrix(96, 160, 2);
  for (const auto method :
       {svd_method::gram64, svd_method::gesdd, svd_method::gesdd64}) {
    SCOPED_TRACE(to_string(method));
    const auto f = decompose_checked(w, method);
    ASSERT_TRUE(f) << f.error().message;
    EXPECT_EQ(f->method, method);
    expect_accurate(w, f->factors);
  }
}

TEST(svd, keeps_small_singular_vectors_of_a_steep_spectrum_orthogonal) {
  const auto i = at::arange(1, 201).to(at::kFloat);
  // From 10 down to 1e-3: float32 Gram vectors would be garbage here.
  const auto w = with_spectrum(200, 320, 10 * at::pow(i, -1.74));
  const auto f = decompose_checked(w);
  ASSERT_TRUE(f) << f.error().message;
  EXPECT_EQ(f->method, svd_method::gram64);
  expect_accurate(w, f->factors);
}

TEST(svd, falls_back_where_the_gram_matrix_is_singular) {
  auto repeated = random_matrix(48, 80, 3);
  repeated[7].copy_(repeated[9]);
  const auto low_rank = at::matmul(random_matrix(60, 5, 3),
                                   random_matrix(5, 90, 4));
  const auto ones = at::full({30, 20}, 0.25f);
  for (const auto& w : {repeated, low_rank, ones, at::zeros({24, 40}),
                        at::zeros({40, 24})}) {
    const auto f = decompose_checked(w);
    ASSERT_TRUE(f) << f.error().message;
    EXPECT_EQ(f->method, svd_method::gesdd64);
    expect_accurate(w, f->factors);
  }
}

TEST(svd, bears_tiny_and_huge_weights) {
  for (const auto scale : {1e-18f, 1e15f}) {
    const auto w = random_matrix(40, 70, 8) * scale;
    const auto f = decompose(w);
    ASSERT_TRUE(f) << f.error().message;
    expect_accurate(w, *f);
  }
}

TEST(svd, gives_the_same_bits_twice_and_positive_leading_entries) {
  const auto w = random_matrix(80, 120, 9);
  const auto a = decompose(w), b = decompose(w.clone());
  ASSERT_TRUE(a && b);
  EXPECT_TRUE(a->u_mr.equal(b->u_mr));
  EXPECT_TRUE(a->v_nr.equal(b->v_nr));
  const auto leading = a->u_mr.gather(0, a->u_mr.abs().argmax(0, true));
  EXPECT_GT(leading.min().item<float>(), 0);
  // The methods agree on the signs, and so on the vectors.
  const auto c = decompose(w, svd_method::gesdd64);
  ASSERT_TRUE(c);
  EXPECT_LE(largest(a->u_mr - c->u_mr), 1e-4);
}

TEST(svd, takes_bfloat16_weights_as_their_float32_values) {
  const auto w = random_matrix(32, 48, 10).to(at::kBFloat16);
  const auto f = decompose(w);
  ASSERT_TRUE(f);
  expect_accurate(w.to(at::kFloat), *f);
}

TEST(svd, notices_factors_that_are_wrong) {
  const auto w = random_matrix(64, 96, 11);
  const auto f = decompose(w);
  ASSERT_TRUE(f);
  EXPECT_TRUE(measure_svd(w, *f).acceptable());
  auto s = f->s_r.clone();
  s[0] *= 1.001;
  EXPECT_GT(measure_svd(w, {f->u_mr, s, f->v_nr}).reconstruction, 1e-4);
  auto u = f->u_mr.clone();
  u.select(1, 3).copy_(u.select(1, 4));
  EXPECT_GT(measure_svd(w, {u, f->s_r, f->v_nr}).orthogonality_u, 0.5);
  auto v = f->v_nr.clone();
  v[0][0] += 1e-3;
  EXPECT_FALSE(measure_svd(w, {f->u_mr, f->s_r, v}).acceptable());
  v[0][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(measure_svd(w, {f->u_mr, f->s_r, v}).acceptable());
}

TEST(svd, refuses_what_is_no_finite_matrix) {
  auto w = random_matrix(4, 4, 12);
  w[2][2] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(decompose(w).error().code, ec::invalid_argument);
  EXPECT_EQ(decompose(at::zeros({3})).error().code, ec::invalid_argument);
  EXPECT_EQ(decompose(at::zeros({0, 3})).error().code, ec::invalid_argument);
}

TEST(svd, names_its_methods) {
  for (const auto method :
       {svd_method::gram64, svd_method::gesdd, svd_method::gesdd64})
    EXPECT_EQ(*parse_svd_method(to_string(method)), method);
  EXPECT_EQ(parse_svd_method("qr").error().code, ec::invalid_argument);
}

}  // namespace
}  // namespace t2
