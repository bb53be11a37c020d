#include "actors/admission_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <utility>

namespace t2 {
namespace {

using namespace std::chrono_literals;

admission_queue::time_point at(std::chrono::milliseconds when) {
  return admission_queue::time_point{} + when;
}

TEST(admission_queue, serves_in_order_of_arrival_up_to_the_running_limit) {
  admission_queue queue(2, 10);
  for (const admission_queue::request r : {7, 3, 5}) {
    ASSERT_TRUE(queue.enter(r, std::nullopt));
  }
  EXPECT_EQ(queue.next(), 7u);
  EXPECT_EQ(queue.next(), 3u);
  EXPECT_EQ(queue.next(), std::nullopt);
  EXPECT_TRUE(queue.leave(7));
  EXPECT_EQ(queue.next(), 5u);
  EXPECT_EQ(queue.running(), 2u);
}

TEST(admission_queue, lets_a_flow_in_that_another_one_floods) {
  admission_queue queue(2, 10);
  for (const admission_queue::request r : {1, 2, 3, 4})
    ASSERT_TRUE(queue.enter(r, std::nullopt, 100));
  ASSERT_TRUE(queue.enter(5, std::nullopt, 200));
  EXPECT_EQ(queue.next(), 1u);
  EXPECT_EQ(queue.next(), 5u);
  EXPECT_EQ(queue.next(), std::nullopt);
  EXPECT_TRUE(queue.leave(5));
  EXPECT_EQ(queue.next(), 2u) << "nobody else wants the place";
  EXPECT_TRUE(queue.leave(1));
  EXPECT_TRUE(queue.leave(3));
  EXPECT_EQ(queue.next(), 4u);
}

TEST(admission_queue, keeps_places_for_flows_that_others_do_not_flood) {
  admission_queue queue(1, 10);
  ASSERT_TRUE(queue.enter(0, std::nullopt, 100));
  ASSERT_EQ(queue.next(), 0u);
  admission_queue::request r = 0;
  while (queue.enter(++r, std::nullopt, 100)) {
  }
  EXPECT_EQ(queue.waiting(), 8u);
  EXPECT_EQ(queue.enter(r, std::nullopt, 100).error().code, ec::busy);
  ASSERT_TRUE(queue.enter(++r, std::nullopt, 200));
  EXPECT_FALSE(queue.enter(r + 1, std::nullopt, 100));
  ASSERT_TRUE(queue.enter(++r, std::nullopt, 300));
  EXPECT_FALSE(queue.enter(r + 1, std::nullopt, 400)) << "all places are taken";
  EXPECT_EQ(queue.next(), std::nullopt);
  EXPECT_TRUE(queue.leave(0));
  EXPECT_EQ(queue.next(), 1u);
  EXPECT_FALSE(queue.enter(r + 1, std::nullopt, 100)) << "7 wait, 1 is left";
  EXPECT_TRUE(queue.enter(r + 1, std::nullopt, 200));
}

TEST(admission_queue, is_busy_once_as_many_wait_as_may) {
  admission_queue queue(1, 2);
  ASSERT_TRUE(queue.enter(1, std::nullopt));
  ASSERT_EQ(queue.next(), 1u);
  ASSERT_TRUE(queue.enter(2, std::nullopt));
  ASSERT_TRUE(queue.enter(3, std::nullopt));
  const auto refused = queue.enter(4, std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::busy);
  EXPECT_FALSE(queue.has(4));
  EXPECT_TRUE(queue.leave(2));
  EXPECT_TRUE(queue.enter(4, std::nullopt));
}

TEST(admission_queue, takes_a_request_that_can_run_even_when_none_may_wait) {
  admission_queue queue(1, 0);
  ASSERT_TRUE(queue.enter(1, std::nullopt));
  ASSERT_EQ(queue.next(), 1u);
  EXPECT_FALSE(queue.enter(2, std::nullopt));
}

TEST(admission_queue, expires_waiting_and_running_requests_alike) {
  admission_queue queue(1, 10);
  ASSERT_TRUE(queue.enter(1, at(30ms)));
  ASSERT_TRUE(queue.enter(2, at(10ms)));
  ASSERT_TRUE(queue.enter(3, std::nullopt));
  ASSERT_EQ(queue.next(), 1u);
  EXPECT_EQ(queue.next_deadline(), at(10ms));
  EXPECT_TRUE(queue.expire(at(9ms)).empty());
  EXPECT_EQ(queue.expire(at(10ms)), std::vector<admission_queue::request>{2});
  EXPECT_EQ(queue.next_deadline(), at(30ms));
  EXPECT_EQ(queue.expire(at(60ms)), std::vector<admission_queue::request>{1});
  EXPECT_EQ(queue.next(), 3u);
  EXPECT_EQ(queue.next_deadline(), std::nullopt);
}

// Against the plainest model: two lists of requests with their flows.
TEST(admission_queue, agrees_with_a_naive_model_over_random_events) {
  std::mt19937 random(7);
  admission_queue queue(3, 8);
  using item = std::pair<std::uint64_t, std::uint64_t>;  // request, flow
  std::deque<item> waiting, running;
  const auto of = [](const std::deque<item>& some, std::uint64_t flow) {
    return static_cast<std::size_t>(
        std::ranges::count(some, flow, &item::second));
  };
  std::uint64_t last = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 3) {
      case 0: {
        const std::uint64_t flow = random() % 8 % 3;  // 0 and 1 come more often
        const bool room =
            (waiting.empty() && running.size() < 3) ||
            (waiting.size() < 8 && of(waiting, flow) < 4 * (8 - waiting.size()));
        ASSERT_EQ(static_cast<bool>(queue.enter(++last, std::nullopt, flow)),
                  room);
        if (room) waiting.emplace_back(last, flow);
        break;
      }
      case 1: {
        const auto next = queue.next();
        if (waiting.empty() || running.size() == 3) {
          ASSERT_EQ(next, std::nullopt);
          break;
        }
        const auto best = std::ranges::min_element(
            waiting, {}, [&](const item& w) { return of(running, w.second); });
        ASSERT_EQ(next, best->first);
        running.push_back(*best);
        waiting.erase(best);
        break;
      }
      default: {
        const std::uint64_t r = last == 0 ? 1 : 1 + random() % last;
        const auto is_it = [r](const item& i) { return i.first == r; };
        const bool here =
            std::erase_if(running, is_it) + std::erase_if(waiting, is_it) > 0;
        ASSERT_EQ(queue.leave(r), here);
      }
    }
    // Those that went long ago are asked for too rarely.
    if (!running.empty() && random() % 4 == 0) {
      ASSERT_TRUE(queue.leave(running.front().first));
      running.pop_front();
    }
    ASSERT_EQ(queue.waiting(), waiting.size());
    ASSERT_EQ(queue.running(), running.size());
  }
}

}  // namespace
}  // namespace t2
