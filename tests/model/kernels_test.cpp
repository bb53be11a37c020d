// Every backend against float64 on the CPU, on every type, odd sizes, strided
// rows, spans with parents and windows.
#include "model/kernels.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include "tests/model/test_device.hpp"

namespace t2 {
namespace {

using kernels::attention_span;
using numbers = std::vector<double>;

struct place {
  std::string device, backend;  // no backend: the one chosen for the device
};

std::vector<place> places() {
  std::vector<place> out;
  for (const auto& device : test_devices())
    if (device == "cpu") {
      out.push_back({device, "cpu"});
      out.push_back({device, "reference"});
    } else {
      out.push_back({device, ""});
    }
  return out;
}

struct shape {
  std::int64_t heads, kv_heads, dim;
};

at::Tensor exact(const at::Tensor& x) {
  return x.to(at::kCPU).to(at::kDouble);
}

numbers numbers_of(const at::Tensor& x) {
  const auto wide = exact(x).contiguous();
  const auto* first = wide.const_data_ptr<double>();
  return {first, first + wide.numel()};
}

class kernel
    : public testing::TestWithParam<std::tuple<place, at::ScalarType, shape>> {
 protected:
  c10::Device device() const {
    return test_device(std::get<0>(GetParam()).device);
  }
  at::ScalarType type() const { return std::get<1>(GetParam()); }
  const kernels::backend& backend() const {
    const auto& name = std::get<0>(GetParam()).backend;
    return name.empty() ? kernels::backend_for(device(), type())
                        : *kernels::find_backend(name);
  }

  at::Tensor random(std::vector<std::int64_t> sizes, at::ScalarType t) {
    return at::randn(sizes, at::kFloat).to(device()).to(t);
  }
  /// The same as rows of a wider tensor.
  at::Tensor strided(std::int64_t rows, std::int64_t width, at::ScalarType t) {
    return random({rows, width + 5}, t).narrow(1, 3, width);
  }

  /// Each entry is the exact one, rounded once to found's type, but for what
  /// float32 loses on the way.
  void expect_close(const at::Tensor& found, const at::Tensor& expected) {
    ASSERT_EQ(found.sizes(), expected.sizes());
    const double tolerance = found.scalar_type() == at::kFloat ? 1e-5 : 4e-3;
    const auto error = (exact(found) - expected).abs() / (1 + expected.abs());
    EXPECT_LE(error.max().item<double>(), tolerance);
  }

  void SetUp() override { at::manual_seed(7); }
};

at::Tensor rms_normalised(const at::Tensor& x, const at::Tensor& weight) {
  return x / at::sqrt(x.square().mean(-1, true) + 1e-5) * exact(weight);
}

TEST_P(kernel, add_rms_norm_adds_and_normalises) {
  for (const std::int64_t hidden : {1, 15, 64, 100, 576}) {
    auto x = random({9, hidden}, at::kFloat);
    const auto update = strided(9, hidden, type());
    const auto weight = random({hidden}, at::kFloat);
    const auto sum = exact(x) + exact(update);
    const auto found = backend().add_rms_norm(x, update, weight, 1e-5, type());
    EXPECT_EQ(found.scalar_type(), type());
    expect_close(x, sum);
    expect_close(found, rms_normalised(sum, weight));
    const auto before = x.clone();
    expect_close(backend().add_rms_norm(x, {}, weight, 1e-5, type()),
                 rms_normalised(exact(before), weight));
    EXPECT_TRUE(at::equal(x, before));
  }
}

TEST_P(kernel, add_layer_norm_adds_and_normalises) {
  for (const std::int64_t hidden : {15, 64, 100, 576}) {
    auto x = random({9, hidden}, at::kFloat);
    const auto update = strided(9, hidden, type());
    const auto weight = random({hidden}, at::kFloat);
    const auto bias = random({hidden}, at::kFloat);
    const auto normalised = [&](const at::Tensor& of) {
      const auto centred = of - of.mean(-1, true);
      return centred / at::sqrt(centred.square().mean(-1, true) + 1e-5) *
                 exact(weight) +
             exact(bias);
    };
    const auto sum = exact(x) + exact(update);
    const auto found =
        backend().add_layer_norm(x, update, weight, bias, 1e-5, type());
    EXPECT_EQ(found.scalar_type(), type());
    expect_close(x, sum);
    expect_close(found, normalised(sum));
    const auto before = x.clone();
    expect_close(backend().add_layer_norm(x, {}, weight, bias, 1e-5, type()),
                 normalised(exact(before)));
    EXPECT_TRUE(at::equal(x, before));
  }
}

TEST_P(kernel, norm_groups_normalises_its_columns_and_leaves_the_rest) {
  for (const std::int64_t width : {1, 16, 24, 100})
    for (const std::int64_t groups : {1, 3})
      for (const bool apart : {false, true}) {
        const auto weight = random({width}, at::kFloat);
        const auto all = 7 + groups * width + 2;
        auto x = apart ? strided(5, all, type()) : random({5, all}, type());
        auto expected = exact(x);
        for (std::int64_t g = 0; g < groups; ++g) {
          auto group = expected.narrow(1, 7 + g * width, width);
          group.copy_(rms_normalised(group.clone(), weight));
        }
        const auto before = x.clone();
        backend().norm_groups(x, 7, groups, weight, 1e-5);
        expect_close(x, expected);
        for (const auto& [begin, count] :
             {std::pair<std::int64_t, std::int64_t>{0, 7}, {all - 2, 2}})
          EXPECT_TRUE(at::equal(x.narrow(1, begin, count),
                                before.narrow(1, begin, count)));
      }
}

at::Tensor activated(const at::Tensor& x, activation_kind kind) {
  switch (kind) {
    case activation_kind::silu: return x / (1 + at::exp(-x));
    case activation_kind::gelu:
      return x * (1 + at::erf(x / std::sqrt(2.0))) / 2;
    case activation_kind::gelu_tanh:
      return x *
             (1 + at::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x.pow(3)))) /
             2;
  }
  return {};
}

TEST_P(kernel, activations_are_what_they_are_called) {
  using enum activation_kind;
  for (const auto kind : {silu, gelu, gelu_tanh})
    for (const std::int64_t width : {1, 16, 43, 1536}) {
      const auto x = strided(5, 2 * width, type()) * 3;
      const auto right = activated(exact(x), kind);
      expect_close(backend().activate(x, kind), right);
      expect_close(
          backend().gated(x, kind),
          right.narrow(1, 0, width) * exact(x).narrow(1, width, width));
    }
  // Where the exponential leaves float32.
  const auto far = random({5, 86}, type()) * 40;
  expect_close(backend().gated(far, silu),
               activated(exact(far), silu).narrow(1, 0, 43) *
                   exact(far).narrow(1, 43, 43));
}

TEST_P(kernel, scale_rows_scales_each_by_its_delta_and_clears_base_rows) {
  const std::vector<std::int32_t> rows{0, -1, 2, 2, 1};
  for (const std::int64_t width : {1, 16, 37, 192})
    for (const bool shifted : {false, true})
      for (const bool apart : {false, true}) {
        const auto table = strided(3, width, at::kFloat);
        const auto shift = shifted ? random({width}, at::kFloat) : at::Tensor{};
        auto p = apart ? strided(5, width, type()) : random({5, width}, type());
        auto expected = exact(p);
        for (std::int64_t t = 0; t < 5; ++t) {
          const auto row = rows[static_cast<std::size_t>(t)];
          auto by = row < 0 ? at::zeros({width}, at::kDouble)
                            : exact(table)[row].clone();
          if (shifted) by += exact(shift);
          expected[t] *= by;
        }
        backend().scale_rows(p, table, shift, rows);
        expect_close(p, expected);
        if (!shifted) {
          EXPECT_EQ(p[1].abs().max().item<double>(), 0);
        }
      }
}

/// What the positions of a sequence have stored: its own, and its parent's
/// before `start`.
struct plain_cache {
  std::vector<page_id> pages;
  const plain_cache* parent = nullptr;
  std::int64_t start = 0;
  /// By layer and position: [keys | values] of all heads.
  std::map<std::pair<std::int64_t, std::int64_t>, numbers> own = {};

  const numbers& at(std::int64_t layer, std::int64_t position) const {
    return position < start ? parent->at(layer, position)
                            : own.at({layer, position});
  }
};

/// The first 2 · half entries of each of `heads` heads, rotated by the angles
/// of a position.
numbers rotated(const double* x, std::int64_t heads, std::int64_t dim,
                std::int64_t position, const kernels::rotary_table& table) {
  numbers out(x, x + heads * dim);
  if (!table.cos_pd.defined()) return out;
  const auto cos = numbers_of(table.cos_pd[position]);
  const auto sin = numbers_of(table.sin_pd[position]);
  const auto half = static_cast<std::int64_t>(cos.size());
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t i = 0; i < half; ++i) {
      const auto angle = static_cast<std::size_t>(i);
      const double a = x[h * dim + i], b = x[h * dim + i + half];
      double* y = out.data() + h * dim + i;
      y[0] = a * cos[angle] - b * sin[angle];
      y[half] = b * cos[angle] + a * sin[angle];
    }
  return out;
}

/// Softmax attention of the token at `position`, whose queries are q.
numbers attended(const double* q, const plain_cache& cache, const shape& s,
                 std::int64_t layer, std::int64_t position,
                 const kernels::attention_rule& rule) {
  const auto window = rule.window;
  const auto first =
      window > 0 ? std::max<std::int64_t>(0, position - window + 1) : 0;
  numbers out(static_cast<std::size_t>(s.heads * s.dim), 0.0);
  for (std::int64_t h = 0; h < s.heads; ++h) {
    const auto key = h / (s.heads / s.kv_heads) * s.dim;
    const auto value = key + s.kv_heads * s.dim;
    numbers weights;
    for (auto j = first; j <= position; ++j) {
      const auto* k = cache.at(layer, j).data() + key;
      double score = 0;
      for (std::int64_t d = 0; d < s.dim; ++d) score += q[h * s.dim + d] * k[d];
      score *= rule.scale;
      weights.push_back(
          rule.cap > 0 ? rule.cap * std::tanh(score / rule.cap) : score);
    }
    const double peak = *std::ranges::max_element(weights);
    double total = 0;
    for (auto& w : weights) total += w = std::exp(w - peak);
    for (auto j = first; j <= position; ++j) {
      const auto* v = cache.at(layer, j).data() + value;
      const auto w = weights[static_cast<std::size_t>(j - first)] / total;
      for (std::int64_t d = 0; d < s.dim; ++d)
        out[static_cast<std::size_t>(h * s.dim + d)] += w * v[d];
    }
  }
  return out;
}

at::Tensor rows_of(const numbers& x, std::int64_t width) {
  return at::tensor(x, at::kDouble).view({-1, width});
}

TEST_P(kernel, attention_over_parents_and_windows_is_that_of_float64) {
  const auto s = std::get<2>(GetParam());
  model_config config;
  config.layers = 2;
  config.heads = s.heads;
  config.kv_heads = s.kv_heads;
  config.head_dim = s.dim;
  const auto angles = at::rand({200, s.dim / 2}, at::kFloat).to(device()) * 6;
  // All of a head is rotated, or a part of it, or nothing.
  const auto table = [&](std::int64_t half) {
    const auto some = angles.narrow(1, 0, half).contiguous();
    return kernels::rotary_table{some.cos(), some.sin()};
  };
  const std::map<std::int64_t, kernels::rotary_table> tables{
      {0, table(s.dim / 2)},
      {1, table(s.dim / 4)},
      {7, {}},
      {40, table(s.dim / 2)}};
  const auto queries = s.heads * s.dim, keys = s.kv_heads * s.dim;
  const auto width = queries + 2 * keys;

  for (const auto& [window, rotary] : tables) {
    SCOPED_TRACE("window " + std::to_string(window));
    const kernels::attention_rule rule{
        .window = window,
        .scale = window == 1 ? 0.3 : 1 / std::sqrt(static_cast<double>(s.dim)),
        .cap = window == 7 ? 0.8 : 0};
    const auto store = backend().make_store(config, type(), device(), 16);
    // In no order; whole pages of a parent, and a copy of its next one's slots.
    plain_cache alone{.pages = {9, 2, 15, 4, 0}};
    plain_cache parent{.pages = {7, 8, 3}};
    plain_cache child{
        .pages = {7, 8, 12, 1}, .parent = &parent, .start = 33};
    plain_cache grandchild{
        .pages = {7, 8, 12, 6, 5}, .parent = &child, .start = 50};
    // A chunk, then a chunk and decodes of all, with parents in the same step.
    const std::array<std::vector<kernels::page_fork>, 3> forks{
        {{}, {{3, 12, 1}, {1, 6, 2}}, {}}};
    struct part {
      std::int64_t begin, end, position;
      plain_cache* cache;
    };
    const std::array<std::vector<part>, 3> steps{
        {{{0, 37, 0, &parent}, {37, 42, 0, &alone}},
         {{0, 17, 33, &child}, {17, 20, 50, &grandchild}, {20, 69, 5, &alone}},
         {{0, 1, 53, &grandchild}, {1, 2, 54, &alone}}}};
    for (std::size_t i = 0; i < steps.size(); ++i)
      for (std::int64_t layer = 0; layer < 2; ++layer) {
        const auto& parts = steps[i];
        const auto tokens = parts.back().end;
        auto qkv = layer == 0 ? random({tokens, width}, type())
                              : strided(tokens, width, type());
        const auto given = numbers_of(qkv);
        std::vector<attention_span> spans;
        for (const auto& p : parts)
          spans.push_back({p.begin, p.end, p.position, p.cache->pages});
        const kernels::step_pages pages{*store, spans, forks[i]};
        backend().rotate_and_store(qkv, pages, rotary, layer, s.heads,
                                   s.kv_heads);
        numbers right_queries;
        for (const auto& p : parts)
          for (auto t = p.begin; t < p.end; ++t) {
            const auto position = p.position + (t - p.begin);
            const auto* row = given.data() + t * width;
            const auto turned =
                rotated(row, s.heads + s.kv_heads, s.dim, position, rotary);
            right_queries.insert(right_queries.end(), turned.begin(),
                                 turned.begin() + queries);
            numbers stored(turned.begin() + queries, turned.end());
            stored.insert(stored.end(), row + queries + keys, row + width);
            p.cache->own[{layer, position}] =
                numbers_of(at::tensor(stored, at::kDouble).to(type()));
          }
        expect_close(qkv.narrow(1, 0, queries),
                     rows_of(right_queries, queries));

        const auto q = numbers_of(qkv.narrow(1, 0, queries));
        numbers right;
        for (const auto& p : parts)
          for (auto t = p.begin; t < p.end; ++t) {
            const auto one =
                attended(q.data() + t * queries, *p.cache, s, layer,
                         p.position + (t - p.begin), rule);
            right.insert(right.end(), one.begin(), one.end());
          }
        expect_close(backend().attend(qkv, pages, layer, s.heads, s.kv_heads,
                                      rule),
                     rows_of(right, queries));
      }
  }
}

std::string name_of(const testing::TestParamInfo<kernel::ParamType>& of) {
  const auto& [where, type, s] = of.param;
  auto text = where.device + "_" + where.backend + "_" + c10::toString(type) +
              "_" + std::to_string(s.heads) + "_" + std::to_string(s.kv_heads) +
              "_" + std::to_string(s.dim);
  std::ranges::replace(text, ':', '_');
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    types_and_shapes, kernel,
    testing::Combine(testing::ValuesIn(places()),
                     testing::Values(at::kFloat, at::kBFloat16),
                     testing::Values(shape{9, 3, 64}, shape{8, 2, 16},
                                     shape{4, 4, 8}, shape{1, 1, 128},
                                     shape{6, 2, 22})),
    name_of);

TEST(kernel_backends, are_chosen_by_device_and_type) {
  using kernels::backend_for, kernels::find_backend;
  for (const auto type : {at::kFloat, at::kBFloat16})
    EXPECT_EQ(&backend_for(c10::kCPU, type), find_backend("cpu"));
  EXPECT_EQ(&backend_for(c10::kCPU, at::kHalf), find_backend("reference"));
  EXPECT_EQ(&backend_for(c10::kCUDA, at::kFloat), find_backend("reference"));
  EXPECT_EQ(find_backend("cuda"), nullptr);
  EXPECT_EQ(find_backend(""), nullptr);
}

}  // namespace
}  // namespace t2
