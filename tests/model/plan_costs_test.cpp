// What the choice of a plan rests on: sums checked by hand, properties of what
// is measured, the copies that mixtures earn.
#include "model/plan_costs.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "model/language_model.hpp"
#include "model/transformer.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

/// Every map: base 1, factored 1.5, delta 2.5 seconds a row, 8 for a copy.
plan_costs simple_costs() {
  std::string map = R"({"base":[)";
  const auto line = [](double each) {
    std::string out;
    for (const auto rows : plan_costs::grid)
      out += (out.empty() ? "" : ",") +
             std::to_string(each * static_cast<double>(rows));
    return out;
  };
  map += line(1) + R"(],"factored":[)" + line(1.5) + R"(],"delta":[)" +
         line(2.5) + R"(],"build":8})";
  std::string rows;
  for (const auto n : plan_costs::grid)
    rows += (rows.empty() ? "" : ",") + std::to_string(n);
  return *plan_costs::from_json(R"({"rows":[)" + rows + R"(],"maps":[)" + map +
                                "," + map + "," + map + "," + map + "]}");
}

TEST(plan_costs, sum_over_maps_and_rows) {
  const auto costs = simple_costs();
  const std::vector<std::int64_t> mixtures{3, 2};
  const plan_question mlp{.base_rows = 4,
                          .mixture_rows = mixtures,
                          .adapted = {0, 0, 1, 1}};
  const double attention = 2 * 9;  // two maps, all rows under the base
  EXPECT_NEAR(costs.seconds(linear_plan::base, mlp), 4 * 9, 1e-6);
  EXPECT_NEAR(costs.seconds(linear_plan::factored, mlp),
              attention + 2 * 1.5 * 9, 1e-6);
  // Base rows pay nothing more.
  EXPECT_NEAR(costs.seconds(linear_plan::delta, mlp),
              attention + 2 * (9 + 1.5 * 5), 1e-6);
  EXPECT_NEAR(costs.seconds(linear_plan::grouped_dense, mlp), 4 * 9, 1e-6);
  EXPECT_EQ(costs.without_copies(mlp), linear_plan::factored);
  EXPECT_NEAR(costs.build_seconds(mlp.adapted), 16, 1e-6);
  const std::vector<std::int64_t> one{1};
  EXPECT_EQ(costs.without_copies({.base_rows = 9,
                                  .mixture_rows = one,
                                  .adapted = mlp.adapted}),
            linear_plan::delta);
}

TEST(plan_costs, lie_between_what_was_measured_and_grow_behind_it) {
  const auto costs = simple_costs();
  const auto base = [&](std::int64_t rows) {
    return costs.seconds(linear_plan::base, {.base_rows = rows});
  };
  for (const std::int64_t rows : {1, 3, 7, 100, 500, 512, 2048})
    EXPECT_NEAR(base(rows), 4 * static_cast<double>(rows), 1e-3) << rows;
}

TEST(plan_costs, are_measured_once_for_a_machine_and_a_shape) {
  const auto model = load_test_model("stories260k-hf", "float32");
  ASSERT_NE(model, nullptr);
  const auto folder =
      std::filesystem::temp_directory_path() / "t2-plan-costs-test";
  std::filesystem::remove_all(folder);
  const auto get = [&] {
    return plan_costs::load_or_measure(folder, model->config(), model->dtype(),
                                       model->device());
  };
  const auto first = get();
  EXPECT_TRUE(first.measured());
  const std::vector<std::int64_t> rows{64};
  for (const auto plan : {linear_plan::base, linear_plan::factored,
                          linear_plan::delta, linear_plan::dense}) {
    const auto seconds = first.seconds(
        plan, {.mixture_rows = rows, .adapted = {1, 1, 1, 1}});
    EXPECT_TRUE(std::isfinite(seconds) && seconds > 0);
  }
  EXPECT_EQ(get().to_json(), first.to_json());
  const auto files = [&] {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      out.push_back(entry.path());
    return out;
  };
  const auto file = files().front();
  // Another type is another measurement, and leaves the first alone.
  const auto other = plan_costs::load_or_measure(
      folder, model->config(), at::kBFloat16, model->device());
  EXPECT_TRUE(other.measured());
  EXPECT_EQ(files().size(), 2u);
  EXPECT_NE(other.to_json(), first.to_json());
  EXPECT_EQ(get().to_json(), first.to_json());
  // A spoilt file is made anew.
  std::ofstream(file) << R"({"rows":[1],"maps":"none"})";
  EXPECT_TRUE(get().measured());
  EXPECT_EQ(get().to_json(), get().to_json());
  std::filesystem::remove_all(folder);
}

TEST(plan_costs, mixtures_earn_dense_copies_and_run_grouped) {
  const auto model = load_test_model("stories260k-hf", "float32");
  ASSERT_NE(model, nullptr);
  auto& net = model->network();
  net.set_dense_budget(1 << 26);
  net.set_costs(simple_costs());
  at::manual_seed(5);
  const auto layout =
      std::make_shared<svf_layout>(model->config(), svf_targets::mlp);
  const auto s = *model->singular_values(*layout);
  kv_rows kv{net, 4, 3};
  packed_step step;
  for (std::int64_t i = 0; i < 3; ++i) {
    step.spans.push_back(kv.span(4 * i, 4 * i + 4, 0, i));
    step.deltas.push_back(
        i == 0 ? nullptr
               : *singular_delta::make(layout, s * 0.2 * at::randn_like(s)));
    for (token_id t = 0; t < 4; ++t) step.tokens.push_back(10 + t);
    for (std::int64_t t = 0; t < 4; ++t) step.logit_rows.push_back(4 * i + t);
  }
  const auto steps = [&](linear_plan plan) {
    return net.plan_steps()[static_cast<std::size_t>(plan)];
  };
  const auto before = steps(linear_plan::grouped_dense);
  const auto first = net.logits(*net.forward(step, kv.store()));
  EXPECT_EQ(steps(linear_plan::grouped_dense), before);
  // A step saves 12 seconds of 16 for each copy: 6 for either mixture.
  for (int i = 0; i < 2; ++i) (void)*net.forward(step, kv.store());
  EXPECT_EQ(net.dense().builds(), 2u);
  EXPECT_EQ(steps(linear_plan::grouped_dense), before + 1);
  const auto grouped = net.logits(*net.forward(step, kv.store()));
  EXPECT_LE((grouped - first).norm().item<double>(),
            1e-4 * first.norm().item<double>());
  EXPECT_EQ(net.dense().builds(), 2u) << "nothing is built again";
}

}  // namespace
}  // namespace t2
