#include "tools/arrival_schedule.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tools/load_run.hpp"

namespace t2 {
namespace {

std::vector<double> gaps(double rate, std::uint64_t seed, int count) {
  arrival_schedule arrivals(rate, seed);
  std::vector<double> found;
  double before = 0;
  for (int i = 0; i < count; ++i) {
    const double now = arrivals.next();
    found.push_back(now - before);
    before = now;
  }
  return found;
}

TEST(arrival_schedule, has_gaps_of_an_exponential_distribution) {
  constexpr int count = 40'000;
  constexpr double rate = 25;
  double sum = 0, squares = 0;
  int longer_than_mean = 0;
  for (const double gap : gaps(rate, 7, count)) {
    ASSERT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
    longer_than_mean += gap > 1 / rate ? 1 : 0;
  }
  const double mean = sum / count;
  // Six standard errors each.
  EXPECT_NEAR(mean * rate, 1, 6 / std::sqrt(count));
  EXPECT_NEAR(squares / count * rate * rate, 2, 6 * std::sqrt(20.0 / count));
  EXPECT_NEAR(static_cast<double>(longer_than_mean) / count, std::exp(-1),
              6 * 0.5 / std::sqrt(count));
}

TEST(arrival_schedule, has_gaps_that_know_nothing_of_each_other) {
  const auto all = gaps(1, 3, 40'000);
  double product = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    product += (all[i] - 1) * (all[i - 1] - 1);
  }
  const auto count = static_cast<double>(all.size());
  EXPECT_NEAR(product / count, 0, 6 / std::sqrt(count));
}

TEST(arrival_schedule, is_the_same_for_the_same_seed_alone) {
  EXPECT_EQ(gaps(10, 1, 100), gaps(10, 1, 100));
  EXPECT_NE(gaps(10, 1, 100), gaps(10, 2, 100));
}

TEST(manners, are_bad_for_the_share_that_is_asked_for_and_of_every_kind) {
  constexpr int count = 30'000;
  std::map<manners, int> found;
  const load_settings settings{.seed = 5, .misbehave = 0.3};
  for (std::size_t i = 0; i < count; ++i) ++found[manners_of(settings, i)];
  EXPECT_NEAR(found[manners::good], count * 0.7, 6 * std::sqrt(count * 0.21));
  for (const auto kind :
       {manners::vanishes, manners::sends_half, manners::reads_slowly}) {
    EXPECT_NEAR(found[kind], count * 0.1, 6 * std::sqrt(count * 0.09));
  }
  const load_settings polite{.seed = 5};
  for (std::size_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(manners_of(polite, i), manners::good);
  }
}

TEST(seeded_draw, is_the_same_on_every_machine) {
  // tests/make_random_streams.py
  EXPECT_EQ(seeded_draw(0, 0, 0), 0.13870941014555427);
  EXPECT_EQ(seeded_draw(1, 2, 3), 0.814259011529328);
  EXPECT_EQ(seeded_draw(~std::uint64_t{0}, 1, 0), 0.45814278618583426);
}

}  // namespace
}  // namespace t2
