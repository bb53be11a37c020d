#include "actors/single_flight.hpp"

#include <gtest/gtest.h>

namespace t2 {
namespace {

TEST(single_flight, lets_only_the_first_start_and_all_share_the_landing) {
  single_flight<std::string> flights;
  EXPECT_TRUE(flights.join("k", 1, "one"));
  EXPECT_FALSE(flights.join("k", 2, "two"));
  EXPECT_TRUE(flights.join("other", 3, "three"));
  EXPECT_EQ(flights.land("k"), (std::vector<std::string>{"one", "two"}));
  EXPECT_FALSE(flights.in_flight("k"));
  EXPECT_TRUE(flights.in_flight("other"));
  EXPECT_TRUE(flights.land("k").empty());
  EXPECT_TRUE(flights.join("k", 4, "four")) << "a new run after the landing";
}

TEST(single_flight, tells_when_the_last_waiter_has_left) {
  single_flight<std::string> flights;
  flights.join("k", 1, "one");
  flights.join("k", 2, "two");
  const auto first = flights.leave(1);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->waiter, "one");
  EXPECT_FALSE(first->last);
  const auto second = flights.leave(2);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->last);
  EXPECT_EQ(second->key, "k");
  EXPECT_FALSE(flights.leave(2));
  EXPECT_EQ(flights.size(), 0u);
}

}  // namespace
}  // namespace t2
