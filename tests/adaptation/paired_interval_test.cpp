#include "adaptation/paired_interval.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace t2 {
namespace {

TEST(paired_interval, agrees_with_the_normal_interval_on_many_items) {
  std::mt19937_64 random{5};
  std::vector<double> items;
  double sum = 0, squares = 0;
  for (int i = 0; i < 400; ++i) {
    // Sum of twelve uniforms: close to a normal of mean 0.3, deviation 1.
    double x = -6 + 0.3;
    for (int k = 0; k < 12; ++k)
      x += static_cast<double>(random() >> 11) * 0x1.0p-53;
    items.push_back(x);
    sum += x;
    squares += x * x;
  }
  const double mean = sum / 400;
  const double error = std::sqrt((squares / 400 - mean * mean) / 400);
  const auto found = interval_of(items);
  EXPECT_DOUBLE_EQ(found.mean, mean);
  EXPECT_NEAR(found.low, mean - 1.96 * error, 0.015);
  EXPECT_NEAR(found.high, mean + 1.96 * error, 0.015);
}

TEST(paired_interval, covers_the_truth_about_as_often_as_it_says) {
  std::mt19937_64 random{6};
  int covered = 0;
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<double> items;
    for (int i = 0; i < 60; ++i)
      items.push_back(static_cast<double>(random() >> 11) * 0x1.0p-53 - 0.5);
    const auto found = interval_of(items);
    covered += found.low <= 0 && 0 <= found.high;
  }
  EXPECT_GE(covered, 88);
  EXPECT_LE(covered, 100);
}

TEST(paired_interval, of_nothing_and_of_equal_items_has_no_width) {
  EXPECT_EQ(interval_of({}).high, 0);
  const std::vector<double> same(10, 0.25);
  EXPECT_EQ(interval_of(same).low, 0.25);
  EXPECT_EQ(interval_of(same).high, 0.25);
}

}  // namespace
}  // namespace t2
