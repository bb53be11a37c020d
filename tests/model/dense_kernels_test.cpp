#include "model/dense_kernels.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace t2 {
namespace {

TEST(dense_kernels, adamw_follows_its_formula) {
  const std::int64_t n = 37;
  at::manual_seed(1);
  auto p = at::randn({n}), m = at::zeros({n}), v = at::zeros({n});
  auto copy = at::zeros({n}, at::kBFloat16);
  auto want = p.to(at::kDouble), wm = m.to(at::kDouble), wv = v.to(at::kDouble);
  for (int t = 1; t <= 5; ++t) {
    const auto g = at::randn({n});
    dense_kernels::adamw(p, m, v, g, copy,
                         {.beta1 = 0.9,
                          .beta2 = 0.95,
                          .epsilon = 1e-8,
                          .learning_rate = 0.01,
                          .weight_decay = 0.1,
                          .scale = 0.5,
                          .step = t});
    const auto half = g.to(at::kDouble) * 0.5;
    wm = wm * 0.9 + half * 0.1;
    wv = wv * 0.95 + half * half * 0.05;
    want = want * (1 - 0.01 * 0.1) -
           (wm / (1 - std::pow(0.9, t))) /
               ((wv / (1 - std::pow(0.95, t))).sqrt() + 1e-8) * 0.01;
  }
  const auto found = p.to(at::kDouble);
  EXPECT_LT(((found - want).norm() / want.norm()).item<double>(), 1e-6);
  EXPECT_TRUE(at::equal(copy, p.to(at::kBFloat16)));
}

}  // namespace
}  // namespace t2
