#include "adaptation/optimiser.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "adaptation/cem.hpp"
#include "adaptation/random_stream.hpp"

namespace t2 {
namespace {

double hill(const candidate& x, const std::vector<double>& top) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum -= (x[i] - top[i]) * (x[i] - top[i]);
  return sum;
}

// The best score that `rounds` populations find.
double climb(optimiser& of, const std::vector<double>& top, int rounds,
             std::size_t population = 32) {
  double best = -1e9;
  for (int i = 0; i < rounds; ++i) {
    const auto points = of.ask(population);
    std::vector<double> scores;
    for (const auto& x : points) scores.push_back(hill(x, top));
    of.tell(points, scores);
    for (const double s : scores) best = std::max(best, s);
  }
  return best;
}

TEST(cem, climbs_a_hill_inside_the_box) {
  cem of{{.dimension = 3, .mean = 1.0 / 3, .seed = 1}};
  EXPECT_GT(climb(of, {0.9, 0.1, 0.5}, 15), -1e-3);
}

TEST(cem, climbs_to_a_corner) {
  cem of{{.dimension = 3, .mean = 1.0 / 3, .seed = 2}};
  EXPECT_GT(climb(of, {3, -2, 5}, 15), hill({1, 0, 1}, {3, -2, 5}) - 0.05);
}

TEST(cem, climbs_with_small_populations_too) {
  cem of{{.dimension = 3, .mean = 1.0 / 3, .seed = 3}};
  EXPECT_GT(climb(of, {0.9, 0.1, 0.5}, 20, 8), -5e-3);
}

TEST(cem, beats_random_search_at_equal_cost) {
  double cem_sum = 0, random_sum = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    optimiser_options options{.dimension = 8, .mean = 1.0 / 8, .seed = seed};
    const std::vector<double> top{.9, .1, .5, .2, .7, .3, .6, .4};
    cem_sum += climb(**make_optimiser("cem", options), top, 12);
    random_sum += climb(**make_optimiser("random", options), top, 12);
  }
  EXPECT_GT(cem_sum, random_sum);
}

TEST(cem, passes_over_candidates_that_could_not_be_built) {
  cem of{{.dimension = 1, .mean = 0.5, .seed = 1}};
  const auto points = of.ask(4);
  const std::vector<double> none(4, -std::numeric_limits<double>::infinity());
  of.tell(points, none);
  EXPECT_EQ(of.mean()[0], 0.5);
}

class optimisers : public testing::TestWithParam<const char*> {};

TEST_P(optimisers, stay_in_the_box) {
  auto of = make_optimiser(GetParam(), {.dimension = 4, .sigma = 3, .seed = 5});
  ASSERT_TRUE(of);
  for (const auto& x : (*of)->ask(200))
    for (const float v : x) {
      EXPECT_GE(v, 0);
      EXPECT_LE(v, 1);
    }
}

TEST_P(optimisers, repeat_themselves_by_seed_and_differ_by_stream) {
  const optimiser_options options{.dimension = 4, .seed = 5, .stream = 1};
  auto other = options;
  other.stream = 2;
  auto a = make_optimiser(GetParam(), options),
       b = make_optimiser(GetParam(), options),
       c = make_optimiser(GetParam(), other);
  EXPECT_EQ((*a)->ask(8), (*b)->ask(8));
  EXPECT_NE((*a)->ask(8), (*c)->ask(8));
}

INSTANTIATE_TEST_SUITE_P(of, optimisers, testing::Values("cem", "random"));

TEST(optimiser, is_known_by_name) {
  const auto made = make_optimiser("sgd", {});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("cem"), std::string::npos);
}

// SplitMix64's published outputs would need its own seeding; what must never
// change is what stored seeds gave.
TEST(random_stream, is_the_same_on_every_machine) {
  random_stream random{42, 7};
  const std::uint64_t first = random.next();
  random_stream again{42, 7};
  EXPECT_EQ(again.next(), first);
  EXPECT_NE((random_stream{42, 8}.next()), first);
  EXPECT_NE((random_stream{43, 7}.next()), first);
}

TEST(random_stream, has_normal_draws) {
  random_stream random{1};
  constexpr int n = 200'000;
  double sum = 0, squares = 0, fourth = 0;
  int beyond = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    if (std::abs(x) > 1.959964) ++beyond;
  }
  EXPECT_NEAR(sum / n, 0, 0.01);
  EXPECT_NEAR(squares / n, 1, 0.02);
  EXPECT_NEAR(fourth / n, 3, 0.1);
  EXPECT_NEAR(beyond / double{n}, 0.05, 0.003);
}

TEST(random_stream, shuffles_every_order_equally_often) {
  random_stream random{3};
  std::map<std::vector<std::size_t>, int> seen;
  for (int i = 0; i < 12'000; ++i) ++seen[random.permutation(4)];
  EXPECT_EQ(seen.size(), 24u);
  for (const auto& [order, count] : seen) EXPECT_NEAR(count, 500, 110);
}

}  // namespace
}  // namespace t2
