// The plans against one reference (U diag(s + d) Vᵀ in float64) when the rows
// of one batch carry different mixtures.
#include "model/linear_plan.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>

#include "model/language_model.hpp"
#include "model/transformer.hpp"
#include "tests/model/test_device.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

/// Device and compute type.
class plans
    : public testing::TestWithParam<std::tuple<std::string, const char*>> {
 protected:
  std::shared_ptr<language_model> load(const std::string& name) {
    return load_test_model(name, std::get<1>(GetParam()),
                           std::get<0>(GetParam()));
  }
};

at::Tensor exact(const at::Tensor& x) {
  return x.to(at::kCPU).to(at::kDouble);
}

delta_ref random_delta(const language_model& model, svf_targets targets,
                       double size) {
  auto layout = std::make_shared<svf_layout>(model.config(), targets);
  const auto s = *model.singular_values(*layout);
  return *singular_delta::make(layout, s * size * at::randn_like(s));
}

TEST_P(plans, agree_when_rows_of_a_batch_carry_different_mixtures) {
  at::manual_seed(11);
  const auto model = load("llama3-tiny");
  ASSERT_NE(model, nullptr);
  auto& net = model->network();
  const bool whole = net.dtype() == at::kFloat;
  const std::vector<delta_ref> deltas{
      nullptr, random_delta(*model, svf_targets::all, 0.3),
      random_delta(*model, svf_targets::mlp, 0.3), nullptr,
      random_delta(*model, svf_targets::attention, 0.5)};
  packed_step step;
  kv_rows kv{net, 16, std::ssize(deltas)};
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const auto begin = static_cast<std::int64_t>(step.tokens.size());
    const auto count = static_cast<std::int64_t>(3 + 2 * i);
    for (std::int64_t t = 0; t < count; ++t) {
      step.logit_rows.push_back(begin + t);
      step.tokens.push_back(static_cast<token_id>((17 * (begin + t)) % 380));
    }
    step.spans.push_back(
        kv.span(begin, begin + count, 0, static_cast<std::int64_t>(i)));
    step.deltas.push_back(deltas[i]);
  }
  const auto run = [&](std::optional<linear_plan> plan) {
    net.force_plan(plan);
    const auto hidden = net.forward(step, kv.store());
    EXPECT_TRUE(hidden);
    return net.logits(*hidden);
  };
  const auto reference = run(linear_plan::factored);
  for (const auto plan : {std::optional{linear_plan::dense},
                          std::optional{linear_plan::delta},
                          std::optional{linear_plan::grouped_dense},
                          std::optional<linear_plan>{}}) {
    const auto found = run(plan);
    for (std::int64_t row = 0; row < found.size(0); ++row) {
      const auto error = (found[row] - reference[row]).norm().item<double>();
      EXPECT_LE(error, (whole ? 1e-4 : 5e-2) *
                           reference[row].norm().item<double>())
          << row;
    }
  }
}

TEST_P(plans, a_linear_map_equals_its_definition_under_every_plan) {
  at::manual_seed(12);
  const auto model = load("qwen2-tiny");
  ASSERT_NE(model, nullptr);
  auto& net = model->network();
  const auto layout =
      std::make_shared<svf_layout>(model->config(), svf_targets::all);
  ASSERT_TRUE(net.load_factors(*layout));
  const double tolerance = net.dtype() == at::kFloat ? 2e-6 : 2e-2;
  for (const auto kind : {projection_kind::query, projection_kind::output,
                          projection_kind::gate, projection_kind::down}) {
    const auto& linear = net.linears()[net.linear_of(1, kind)];
    const auto n = linear.parts().front().in_features;
    const auto x = at::randn({6, n}).to(net.device()).to(net.dtype());
    const auto d_gr = at::randn({2, linear.ranks()}).to(net.device()) * 0.5;
    const std::vector<std::int32_t> rows{-1, -1, 0, 1, 1, 0};

    std::vector<at::Tensor> expected;
    for (std::size_t t = 0; t < rows.size(); ++t) {
      std::vector<at::Tensor> parts;
      std::int64_t offset = 0;
      for (std::size_t p = 0; p < linear.parts().size(); ++p) {
        const auto& part = linear.parts()[p];
        const auto& f = linear.factors(p);
        const auto r = part.rank();
        auto d = rows[t] < 0 ? at::zeros({r}, at::kDouble)
                             : exact(d_gr[rows[t]].narrow(0, offset, r));
        offset += r;
        const auto u = exact(f.u_mr), v = exact(f.v_nr);
        auto y = at::mv(at::mm(u * (exact(f.s_r) + d), v.t()),
                        exact(x[static_cast<std::int64_t>(t)]));
        const auto bias =
            part.weight.substr(0, part.weight.rfind('.')) + ".bias";
        const std::array shape{part.out_features};
        if (model->weights().has(bias))
          y = y + exact(*model->weights().tensor(bias, shape));
        parts.push_back(y);
      }
      expected.push_back(at::cat(parts));
    }
    const auto reference = at::stack(expected);
    const auto close = [&](const at::Tensor& found, const char* plan,
                           std::int64_t from, std::int64_t count) {
      const auto wanted = reference.narrow(0, from, count);
      EXPECT_LE((exact(found) - wanted).norm().item<double>(),
                tolerance * wanted.norm().item<double>())
          << plan;
    };
    close(linear.apply_base(x.narrow(0, 0, 2)), "base", 0, 2);
    close(linear.apply_factored(x, d_gr, rows), "factored", 0, 6);
    close(linear.apply_delta(x, d_gr, rows, 2), "delta", 0, 6);
    close(linear.apply_delta(x, d_gr, rows, 0), "delta", 0, 6);
    close(linear.apply_dense(x.narrow(0, 3, 2), linear.materialise(d_gr[1])),
          "dense", 3, 2);
  }
}

// The weights are off by exactly the directions that were dropped.
TEST_P(plans, a_truncated_delta_moves_the_largest_directions_alone) {
  at::manual_seed(13);
  const auto model = load("llama3-tiny");
  ASSERT_NE(model, nullptr);
  auto& net = model->network();
  ASSERT_TRUE(net.load_factors({model->config(), svf_targets::all}));
  const auto& linear =
      net.linears()[net.linear_of(0, projection_kind::gate)];
  const auto n = linear.parts().front().in_features;
  const auto x = at::randn({4, n}).to(net.device()).to(net.dtype());
  const auto d_gr = at::randn({2, linear.ranks()}).to(net.device());
  const std::vector<std::int32_t> rows{-1, 0, 1, 1};
  const std::int64_t rank = 5;
  const auto thin = linear.thin(d_gr, rank);
  EXPECT_EQ(thin.index_k.size(0), 2 * rank);
  // Brute force: d with everything else cleared, under the exact plan.
  auto kept = at::zeros_like(d_gr);
  std::int64_t begin = 0;
  for (std::size_t p = 0; p < linear.parts().size(); ++p) {
    const auto all = linear.parts()[p].rank();
    const auto size = d_gr.narrow(1, begin, all).abs().amax(0);
    for (std::int64_t i = 0; i < all; ++i)
      if ((size > size[i]).sum().item<std::int64_t>() < rank)
        kept.select(1, begin + i).copy_(d_gr.select(1, begin + i));
    begin += all;
  }
  const auto found = exact(linear.apply_delta(x, d_gr, rows, 1, &thin));
  const auto wanted = exact(linear.apply_delta(x, kept, rows, 1));
  EXPECT_LE((found - wanted).norm().item<double>(),
            (net.dtype() == at::kFloat ? 2e-6 : 2e-2) *
                wanted.norm().item<double>());
}

INSTANTIATE_TEST_SUITE_P(
    devices_and_types, plans,
    testing::Combine(testing::ValuesIn(test_devices()),
                     testing::Values("float32", "bfloat16")),
    [](const auto& of) {
      return std::get<0>(of.param) + "_" + std::get<1>(of.param);
    });

TEST(dense_copies, keep_the_hottest_under_a_budget_and_earn_their_place) {
  const auto copy = [] {
    return dense_copies::weights{linear_weight{at::ones({8, 8})}};
  };
  dense_copies copies{2 * 8 * 8 * 4};
  copies.put("a", copy());
  copies.put("b", copy());
  EXPECT_NE(copies.find("a"), nullptr);  // now b is the colder one
  copies.put("c", copy());
  EXPECT_EQ(copies.find("b"), nullptr);
  EXPECT_NE(copies.find("a"), nullptr);
  EXPECT_NE(copies.find("c"), nullptr);
  EXPECT_EQ(copies.bytes(), 2 * 8 * 8 * 4);
  EXPECT_EQ(copies.charge("d", 0.5), 0.5);
  EXPECT_EQ(copies.charge("d", 0.25), 0.75);
}

}  // namespace
}  // namespace t2
