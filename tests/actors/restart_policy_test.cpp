#include "actors/restart_policy.hpp"

#include <gtest/gtest.h>

namespace t2 {
namespace {

using namespace std::chrono_literals;

constexpr restart_limits limits{.first_delay = 100ms,
                                .longest_delay = 300ms,
                                .growth = 2,
                                .failures = 5,
                                .window = 10s};

restart_policy::time_point at(std::chrono::milliseconds when) {
  return restart_policy::time_point{} + when;
}

TEST(restart_policy, waits_longer_each_time_up_to_the_longest_delay) {
  restart_policy policy(limits);
  EXPECT_EQ(policy.after_failure(at(0ms)), 100ms);
  EXPECT_EQ(policy.after_failure(at(1ms)), 200ms);
  EXPECT_EQ(policy.after_failure(at(2ms)), 300ms);
  EXPECT_EQ(policy.after_failure(at(3ms)), 300ms);
}

TEST(restart_policy, gives_up_when_too_many_failures_fall_into_the_window) {
  restart_policy policy(limits);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(policy.after_failure(at(0ms)));
  EXPECT_EQ(policy.after_failure(at(10s)), std::nullopt);
}

TEST(restart_policy, forgets_failures_older_than_the_window) {
  restart_policy policy(limits);
  for (int i = 0; i < 4; ++i) policy.after_failure(at(0ms));
  EXPECT_EQ(policy.after_failure(at(10'001ms)), 100ms);
}

}  // namespace
}  // namespace t2
