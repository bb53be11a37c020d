// The fused loops against compositions of ATen operators, on every type, odd
// sizes, spans with parents and windows.
#include "model/kernels.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <tuple>

#include "tests/model/test_device.hpp"

namespace t2 {
namespace {

using kernels::attention_span;

struct shape {
  std::int64_t heads, kv_heads, dim;
};

class kernel : public testing::TestWithParam<
                   std::tuple<std::string, at::ScalarType, shape>> {
 protected:
  c10::Device device() const { return test_device(std::get<0>(GetParam())); }
  at::ScalarType type() const { return std::get<1>(GetParam()); }
  double tolerance() const { return type() == at::kFloat ? 1e-5 : 1.6e-2; }

  at::Tensor random(std::vector<std::int64_t> sizes, at::ScalarType t) {
    return at::randn(sizes, at::kFloat).to(device()).to(t);
  }

  void expect_close(const at::Tensor& found, const at::Tensor& expected) {
    const auto a = found.to(at::kCPU).to(at::kDouble);
    const auto b = expected.to(at::kCPU).to(at::kDouble);
    const auto error = (a - b).abs().max().item<double>();
    EXPECT_LE(error, tolerance() * (1 + b.abs().max().item<double>()));
  }

  void SetUp() override { at::manual_seed(7); }
};

TEST_P(kernel, add_rms_norm_equals_its_composition) {
  for (const std::int64_t hidden : {1, 15, 64, 100, 576}) {
    auto x = random({9, hidden}, at::kFloat);
    auto y = x.clone();
    const auto update = random({9, hidden}, type());
    const auto weight = random({hidden}, at::kFloat);
    const auto found = kernels::add_rms_norm(x, update, weight, 1e-5, type());
    const auto expected =
        kernels::add_rms_norm_reference(y, update, weight, 1e-5, type());
    EXPECT_EQ(found.scalar_type(), type());
    expect_close(found, expected);
    expect_close(x, y);
    expect_close(kernels::add_rms_norm(x, {}, weight, 1e-5, type()),
                 kernels::add_rms_norm_reference(y, {}, weight, 1e-5, type()));
  }
}

TEST_P(kernel, norm_groups_equals_its_composition_and_leaves_the_rest) {
  for (const std::int64_t width : {1, 16, 24, 100}) {
    const auto weight = random({width}, at::kFloat);
    for (const std::int64_t groups : {1, 3}) {
      auto x = random({5, 7 + groups * width + 2}, type());
      auto y = x.clone();
      const auto before = x.clone();
      kernels::norm_groups(x, 7, groups, weight, 1e-5);
      kernels::norm_groups_reference(y, 7, groups, weight, 1e-5);
      expect_close(x, y);
      EXPECT_TRUE(at::equal(x.narrow(1, 0, 7), before.narrow(1, 0, 7)));
      EXPECT_TRUE(at::equal(x.narrow(1, x.size(1) - 2, 2),
                            before.narrow(1, x.size(1) - 2, 2)));
    }
  }
}

TEST_P(kernel, activations_are_what_they_are_called) {
  const auto x = at::linspace(-6, 6, 64, at::kDouble).view({2, 32});
  const auto given = x.to(device()).to(type());
  const auto exact = given.to(at::kCPU).to(at::kDouble);
  const auto normal = (1 + at::erf(exact / std::sqrt(2.0))) / 2;
  const auto inner = std::sqrt(2 / M_PI) * (exact + 0.044715 * exact.pow(3));
  using enum activation_kind;
  const std::vector<std::pair<activation_kind, at::Tensor>> all{
      {silu, exact / (1 + at::exp(-exact))},
      {gelu, exact * normal},
      {gelu_tanh, exact * (1 + at::tanh(inner)) / 2}};
  for (const auto& [kind, right] : all) {
    expect_close(kernels::activate(given, kind), right);
    expect_close(kernels::gated(given, kind),
                 right.narrow(1, 0, 16) * exact.narrow(1, 16, 16));
  }
}

TEST_P(kernel, silu_multiply_equals_its_composition) {
  for (const std::int64_t width : {1, 16, 43, 1536}) {
    const auto x = random({5, 2 * width}, type()) * 20;
    expect_close(kernels::silu_multiply(x), kernels::silu_multiply_reference(x));
  }
}

TEST_P(kernel, scale_rows_equals_its_composition_and_clears_base_rows) {
  const std::vector<std::int32_t> rows{0, -1, 2, 2, 1};
  for (const std::int64_t width : {1, 16, 37, 192}) {
    const auto table = random({3, width + 5}, at::kFloat).narrow(1, 3, width);
    for (const bool shifted : {false, true}) {
      const auto shift = shifted ? random({width}, at::kFloat) : at::Tensor{};
      auto p = random({5, width}, type());
      auto q = p.clone();
      kernels::scale_rows(p, table, shift, rows);
      kernels::scale_rows_reference(q, table, shift, rows);
      expect_close(p, q);
      if (!shifted) {
        EXPECT_EQ(p[1].abs().max().item<double>(), 0);
      }
    }
  }
}

TEST_P(kernel, attention_over_parents_and_windows_equals_its_composition) {
  const auto [heads, kv_heads, dim] = std::get<2>(GetParam());
  model_config config;
  config.layers = 2;
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = dim;
  const auto angles = at::rand({200, dim / 2}, at::kFloat).to(device()) * 6;
  // All of a head is rotated, or a part of it, or nothing.
  const auto table = [&](std::int64_t half) {
    const auto some = angles.narrow(1, 0, half).contiguous();
    return kernels::rotary_table{some.cos(), some.sin()};
  };
  const std::map<std::int64_t, kernels::rotary_table> tables{
      {0, table(dim / 2)}, {1, table(dim / 4)}, {7, {}}, {40, table(dim / 2)}};
  const auto width = (heads + 2 * kv_heads) * dim;

  for (const auto& [window, rotary] : tables) {
    const double scale = window == 1 ? 0.3 : 1 / std::sqrt(static_cast<double>(dim));
    // Two caches filled by the same steps, one through each implementation.
    struct side {
      kv_pool pool;
      std::shared_ptr<kv_sequence> alone, parent, child, grandchild;
    };
    std::vector<side> sides;
    for (int i = 0; i < 2; ++i) {
      kv_pool pool{config, type(), device(), 1 << 26};
      auto alone = pool.allocate(70);
      auto parent = pool.allocate(37);
      auto child = pool.allocate(20, parent, 33);
      auto grandchild = pool.allocate(30, child, 50);
      sides.push_back({pool, alone, parent, child, grandchild});
    }
    // A chunk, then a chunk and decodes of all, with parents in the same step.
    const auto spans_of = [](side& s, int step) -> std::vector<attention_span> {
      if (step == 0)
        return {{0, 37, 0, s.parent.get()}, {37, 42, 0, s.alone.get()}};
      if (step == 1)
        return {{0, 17, 33, s.child.get()},
                {17, 20, 50, s.grandchild.get()},
                {20, 69, 5, s.alone.get()}};
      return {{0, 1, 53, s.grandchild.get()}, {1, 2, 54, s.alone.get()}};
    };
    const std::int64_t tokens[] = {42, 69, 2};
    for (int step = 0; step < 3; ++step)
      for (std::int64_t layer = 0; layer < 2; ++layer) {
        auto qkv = random({tokens[step], width}, type());
        auto copy = qkv.clone();
        const auto fused = spans_of(sides[0], step);
        const auto plain = spans_of(sides[1], step);
        kernels::rotate_and_store(qkv, fused, rotary, layer, heads, kv_heads);
        kernels::rotate_and_store_reference(copy, plain, rotary, layer, heads,
                                            kv_heads);
        const auto queries = heads * dim;
        expect_close(qkv.narrow(1, 0, queries), copy.narrow(1, 0, queries));
        expect_close(
            kernels::attend(qkv, fused, layer, heads, kv_heads, window, scale),
            kernels::attend_reference(copy, plain, layer, heads, kv_heads,
                                      window, scale));
      }
  }
}

INSTANTIATE_TEST_SUITE_P(
    types_and_shapes, kernel,
    testing::Combine(testing::ValuesIn(test_devices()),
                     testing::Values(at::kFloat, at::kBFloat16),
                     testing::Values(shape{9, 3, 64}, shape{8, 2, 16},
                                     shape{4, 4, 8}, shape{1, 1, 128},
                                     shape{6, 2, 22})));

}  // namespace
}  // namespace t2
