#include "adaptation/adamw.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

namespace t2 {
namespace {

float entry(const at::Tensor& t, std::int64_t i = 0) {
  return t.const_data_ptr<float>()[i];
}

// torch.optim.AdamW(lr=0.1, weight_decay=0.5) on p = [1, -2], gradients
// [0.5, -1], [0.25, 2], [-1, 0]: by the published update rule in exact steps.
TEST(adamw, follows_the_published_rule) {
  at::Tensor p = at::zeros({2});
  p.mutable_data_ptr<float>()[0] = 1;
  p.mutable_data_ptr<float>()[1] = -2;
  auto state = make_adamw_state(p);
  const float gradients[3][2] = {{0.5f, -1}, {0.25f, 2}, {-1, 0}};
  double m[2] = {}, v[2] = {}, x[2] = {1, -2};
  for (int t = 1; t <= 3; ++t) {
    at::Tensor g = at::zeros({2});
    for (int i = 0; i < 2; ++i) {
      const double gi = gradients[t - 1][i];
      g.mutable_data_ptr<float>()[i] = gradients[t - 1][i];
      m[i] = 0.9 * m[i] + 0.1 * gi;
      v[i] = 0.999 * v[i] + 0.001 * gi * gi;
      x[i] *= 1 - 0.1 * 0.5;
      x[i] -= 0.1 * (m[i] / (1 - std::pow(0.9, t))) /
              (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
    }
    adamw_step(state, g, 0.1, {.weight_decay = 0.5});
    EXPECT_NEAR(entry(state.parameter, 0), x[0], 1e-6);
    EXPECT_NEAR(entry(state.parameter, 1), x[1], 1e-6);
  }
  EXPECT_EQ(state.steps, 3);
}

TEST(adamw, decays_towards_the_base) {
  auto state = make_adamw_state(at::full({1}, 3.0, at::kFloat));
  for (int i = 0; i < 200; ++i)
    adamw_step(state, at::zeros({1}), 0.1,
               {.weight_decay = 0.5, .decay_towards = 1});
  EXPECT_NEAR(entry(state.parameter), 1, 1e-3);
}

TEST(learning_rate, rises_then_falls_along_a_cosine) {
  const auto at = [](std::int64_t i) {
    return learning_rate_at(i, 100, 1, 0.1);
  };
  for (std::int64_t i = 1; i < 10; ++i) EXPECT_GT(at(i), at(i - 1));
  EXPECT_GT(at(0), 0);
  EXPECT_DOUBLE_EQ(at(10), 1);
  EXPECT_NEAR(at(55), 0.5, 1e-12);
  for (std::int64_t i = 11; i < 100; ++i) EXPECT_LT(at(i), at(i - 1));
  EXPECT_NEAR(at(100), 0, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate_at(0, 10, 2, 0), 2);
}

TEST(clip, bounds_the_norm_and_keeps_the_direction) {
  at::Tensor g = at::zeros({2});
  g.mutable_data_ptr<float>()[0] = 3;
  g.mutable_data_ptr<float>()[1] = -4;
  EXPECT_DOUBLE_EQ(clip_gradient(g, 0), 5);
  EXPECT_EQ(entry(g), 3);
  EXPECT_DOUBLE_EQ(clip_gradient(g, 10), 5);
  EXPECT_EQ(entry(g), 3);
  EXPECT_DOUBLE_EQ(clip_gradient(g, 1), 5);
  EXPECT_FLOAT_EQ(entry(g, 0), 0.6f);
  EXPECT_FLOAT_EQ(entry(g, 1), -0.8f);
}

}  // namespace
}  // namespace t2
