#include "adaptation/expert_pool.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "adaptation/svf.hpp"
#include "tests/adaptation/tiny_shape.hpp"

namespace t2 {
namespace {

expert_ref make_expert(const std::string& name, std::uint64_t seed,
                       svf_norm norm = svf_norm::nuclear,
                       const std::string& base = "b",
                       const svf_targets& targets = svf_targets::all) {
  auto e = std::make_shared<expert>();
  e->name = name;
  e->version = 1;
  e->base = base;
  e->norm = norm;
  e->targets = targets;
  e->z = random_vector(tiny_layout(targets)->total(), 0.2f, 1.8f, seed);
  return e;
}

class pool : public testing::TestWithParam<svf_norm> {
 protected:
  std::shared_ptr<const svf_layout> layout = tiny_layout();
  at::Tensor s = random_vector(layout->total(), 0.1f, 3, 1);
  std::vector<expert_ref> experts{make_expert("one", 2, GetParam()),
                                  make_expert("two", 3, GetParam())};
  expert_pool of = *expert_pool::make(experts, layout, s);

  void expect_equal(const at::Tensor& found, const at::Tensor& expected) {
    for (std::int64_t i = 0; i < expected.numel(); ++i)
      EXPECT_NEAR(found.const_data_ptr<float>()[i],
                  expected.const_data_ptr<float>()[i], 1e-5);
  }
};

TEST_P(pool, under_delta_is_linear_in_alpha) {
  const auto d0 = delta_from_z(experts[0]->z, s, GetParam(), *layout);
  const auto d1 = delta_from_z(experts[1]->z, s, GetParam(), *layout);
  const auto found = of.compose(mixture_rule::delta, std::vector{0.3f, 0.6f});
  ASSERT_TRUE(found);
  expect_equal((*found)->d(), 0.3 * *d0 + 0.6 * *d1);
}

TEST_P(pool, under_paper_scales_the_sum_of_z) {
  const auto expected = delta_from_z(
      0.3 * experts[0]->z + 0.6 * experts[1]->z, s, GetParam(), *layout);
  const auto found = of.compose(mixture_rule::paper, std::vector{0.3f, 0.6f});
  ASSERT_TRUE(found);
  expect_equal((*found)->d(), *expected);
}

TEST_P(pool, gives_one_whole_expert_under_either_rule) {
  const auto expected = delta_from_z(experts[1]->z, s, GetParam(), *layout);
  for (const auto rule : {mixture_rule::delta, mixture_rule::paper}) {
    const auto found = of.compose(rule, std::vector{0.0f, 1.0f});
    ASSERT_TRUE(found);
    expect_equal((*found)->d(), *expected);
  }
}

TEST_P(pool, with_no_alpha_is_the_base_itself_under_delta) {
  const auto found = of.compose(mixture_rule::delta, std::vector{0.0f, 0.0f});
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, nullptr);
}

TEST_P(pool, makes_a_control_of_the_same_steps_in_another_order) {
  const auto delta =
      *of.compose(mixture_rule::delta, std::vector{0.3f, 0.6f});
  const auto control = of.control_of(*delta, 7);
  EXPECT_NE(control->digest(), delta->digest());
  EXPECT_EQ(control->digest(), of.control_of(*delta, 7)->digest());
  EXPECT_NE(control->digest(), of.control_of(*delta, 8)->digest());
  for (std::size_t p = 0; p < layout->size(); ++p) {
    std::vector<float> before, after;
    for (std::int64_t i = layout->offset(p);
         i < layout->offset(p) + layout->projections()[p].rank(); ++i) {
      const float own = s.const_data_ptr<float>()[i];
      before.push_back(delta->d().const_data_ptr<float>()[i] / own);
      after.push_back(control->d().const_data_ptr<float>()[i] / own);
    }
    std::ranges::sort(before);
    std::ranges::sort(after);
    for (std::size_t i = 0; i < before.size(); ++i)
      EXPECT_NEAR(before[i], after[i], 1e-5);
  }
}

TEST_P(pool, takes_an_alpha_for_each_projection) {
  const std::size_t width = layout->size();
  std::vector<float> alpha(2 * width, 0.0f);
  alpha[width + 4] = 0.5f;  // the second expert's fifth projection
  const auto found = of.compose(mixture_rule::delta, alpha);
  ASSERT_TRUE(found);
  const auto d1 = delta_from_z(experts[1]->z, s, GetParam(), *layout);
  const auto begin = layout->offset(4), rank = layout->projections()[4].rank();
  for (std::int64_t i = 0; i < layout->total(); ++i) {
    const bool inside = i >= begin && i < begin + rank;
    EXPECT_NEAR((*found)->d().const_data_ptr<float>()[i],
                inside ? 0.5 * d1->const_data_ptr<float>()[i] : 0, 1e-5);
  }
}

TEST_P(pool, composes_what_it_describes) {
  const std::vector alpha{0.25f, 0.75f};
  const mixture m = of.describe(mixture_rule::delta, alpha);
  const auto read = parse_mixture(to_json(m));
  ASSERT_TRUE(read) << read.error().message;
  const auto a = of.compose(*read), b = of.compose(mixture_rule::delta, alpha);
  ASSERT_TRUE(a);
  EXPECT_EQ((*a)->digest(), (*b)->digest());
}

TEST_P(pool, leaves_out_what_has_no_share) {
  const mixture m =
      of.describe(mixture_rule::delta, std::vector{0.0f, 0.5f});
  ASSERT_EQ(m.components.size(), 1u);
  EXPECT_EQ(m.components[0].expert, "two");
  EXPECT_TRUE(
      of.describe(mixture_rule::delta, std::vector{0.0f, 0.0f}).is_base());
}

// What an expert does not adapt it leaves as it is.
TEST_P(pool, mixes_experts_of_different_targets) {
  const auto targets = *svf_targets::parse("mlp");
  const auto others = *svf_targets::parse("embed_tokens,1:q_proj,0:up_proj");
  const auto both = tiny_layout(svf_targets::both(targets, others));
  const std::vector<expert_ref> of_both{
      make_expert("one", 2, GetParam(), "b", targets),
      make_expert("two", 3, GetParam(), "b", others)};
  const auto s_n = random_vector(both->total(), 0.1f, 3, 1);
  const auto mixed = expert_pool::make(of_both, both, s_n);
  ASSERT_TRUE(mixed) << mixed.error().message;
  const auto by_delta =
      mixed->compose(mixture_rule::delta, std::vector{0.3f, 0.6f});
  const auto by_paper =
      mixed->compose(mixture_rule::paper, std::vector{0.3f, 0.6f});
  ASSERT_TRUE(by_delta && by_paper);
  std::vector<std::int64_t> used(2, 0);
  std::size_t shared = 0;
  for (std::size_t p = 0; p < both->size(); ++p) {
    const auto& where = both->projections()[p];
    const auto rank = where.rank();
    const auto s_r = s_n.narrow(0, both->offset(p), rank).to(at::kDouble);
    auto e = at::zeros({rank}, at::kDouble), z = at::zeros({rank}, at::kDouble);
    const double alpha[] = {0.3f, 0.6f};
    const auto nu = [&](const at::Tensor& of_z) {
      return GetParam() == svf_norm::none
                 ? at::ones({}, at::kDouble)
                 : s_r.sum() / (s_r * of_z).sum();
    };
    std::size_t adapting = 0;
    for (std::size_t k = 0; k < 2; ++k) {
      auto own = at::ones({rank}, at::kDouble);
      if (of_both[k]->targets.contain(where)) {
        own = of_both[k]->z.narrow(0, used[k], rank).to(at::kDouble);
        used[k] += rank;
        ++adapting;
      }
      e += alpha[k] * (nu(own) * own - 1);
      z += alpha[k] * own;
    }
    shared += adapting == 2;
    expect_equal((*by_delta)->of(p), (s_r * e).to(at::kFloat));
    expect_equal((*by_paper)->of(p), (s_r * (nu(z) * z - 1)).to(at::kFloat));
  }
  EXPECT_EQ(used[0], of_both[0]->z.numel());
  EXPECT_EQ(used[1], of_both[1]->z.numel());
  EXPECT_EQ(shared, 1u);
}

INSTANTIATE_TEST_SUITE_P(of, pool,
                         testing::Values(svf_norm::none, svf_norm::nuclear));

TEST(pool_errors, name_what_does_not_go_together) {
  const auto layout = tiny_layout();
  const at::Tensor s = random_vector(layout->total(), 0.1f, 3, 1);
  const auto one = make_expert("one", 2);
  const expert_ref others[] = {make_expert("two", 3, svf_norm::none),
                               make_expert("two", 3, svf_norm::nuclear, "c")};
  for (const auto& other : others) {
    const auto made = expert_pool::make({one, other}, layout, s);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ec::incompatible);
    EXPECT_NE(made.error().message.find("one@1"), std::string::npos);
    EXPECT_NE(made.error().message.find("two@1"), std::string::npos);
  }
  EXPECT_FALSE(expert_pool::make({}, layout, s));
}

TEST(pool_errors, refuse_what_cannot_be_composed) {
  const auto layout = tiny_layout();
  const at::Tensor s = random_vector(layout->total(), 0.1f, 3, 1);
  const auto of = expert_pool::make({make_expert("one", 2)}, layout, s);
  ASSERT_TRUE(of);
  EXPECT_FALSE(of->compose(mixture_rule::delta, std::vector{1.0f, 2.0f}));
  // Nothing of everything has no nuclear norm to restore.
  EXPECT_FALSE(of->compose(mixture_rule::paper, std::vector{0.0f}));
  const mixture unknown{.rule = mixture_rule::delta,
                        .components = {{"two", 1, {1.0f}}}};
  const auto missing = of->compose(unknown);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ec::not_found);
}

TEST(mixture_json, refuses_everything_else) {
  for (const char* text :
       {"", "[]", "{}", R"({"rule":"sum","components":[]})",
        R"({"rule":"delta","components":[{}]})",
        R"({"rule":"delta","components":[{"expert":"a","version":1,"alpha":[]}]})",
        R"({"rule":"delta","components":[{"expert":"a","version":1,"alpha":["x"]}]})",
        R"({"rule":"delta","components":[{"expert":"a","version":1,"alpha":[1]},
            {"expert":"b","version":1,"alpha":[1,2]}]})",
        R"({"rule":"delta","components":[{"expert":"a","version":1,"alpha":[1e99]}]})"}) {
    const auto read = parse_mixture(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ec::corrupt);
  }
  EXPECT_TRUE(parse_mixture(to_json(mixture{}))->is_base());
}

}  // namespace
}  // namespace t2
