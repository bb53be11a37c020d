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

TEST(admission_queue, lets_a_target_in_that_another_one_floods) {
  admission_queue queue(2, 10);
  for (const admission_queue::request r : {1, 2, 3, 4})
    ASSERT_TRUE(queue.enter(r, std::nullopt, {.target = 100}));
  ASSERT_TRUE(queue.enter(5, std::nullopt, {.target = 200}));
  EXPECT_EQ(queue.next(), 1u);
  EXPECT_EQ(queue.next(), 5u);
  EXPECT_EQ(queue.next(), std::nullopt);
  EXPECT_TRUE(queue.leave(5));
  EXPECT_EQ(queue.next(), 2u) << "nobody else wants the place";
  EXPECT_TRUE(queue.leave(1));
  EXPECT_TRUE(queue.leave(3));
  EXPECT_EQ(queue.next(), 4u);
}

TEST(admission_queue, shares_between_callers_before_their_targets) {
  admission_queue queue(4, 100);
  // One caller asks for ten targets, the other for one.
  admission_queue::request r = 0;
  for (std::uint64_t target = 0; target < 10; ++target)
    ASSERT_TRUE(queue.enter(++r, std::nullopt, {1, target}));
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(queue.enter(++r, std::nullopt, {2, 0}));
  EXPECT_EQ(queue.next(), 1u);
  EXPECT_EQ(queue.next(), 11u);
  EXPECT_EQ(queue.next(), 2u);
  EXPECT_EQ(queue.next(), 12u);
}

// A caller that holds everything: another one begins at once, and so do as many
// others as there are places, each with one.
TEST(admission_queue, begins_for_a_caller_that_has_nothing_running) {
  admission_queue queue(3, 10);
  admission_queue::request r = 0;
  while (queue.enter(++r, std::nullopt, {1, r % 2})) {
  }
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue.next());
  EXPECT_EQ(queue.next(), std::nullopt);
  for (std::uint64_t caller = 2; caller <= 4; ++caller) {
    ASSERT_TRUE(queue.enter(++r, std::nullopt, {caller, 0})) << caller;
    EXPECT_EQ(queue.next(), r) << caller;
    EXPECT_EQ(queue.next(), std::nullopt);
  }
  EXPECT_EQ(queue.running(), 6u);
  // As many again as the limit, and no more.
  const auto fourth = ++r;
  ASSERT_TRUE(queue.enter(fourth, std::nullopt, {5, 0}));
  EXPECT_EQ(queue.next(), std::nullopt);
  // Its turn comes when another ends, before the many that wait longer.
  EXPECT_TRUE(queue.leave(fourth - 1));
  EXPECT_EQ(queue.next(), fourth);
}

TEST(admission_queue, keeps_places_for_callers_and_for_targets_of_each) {
  admission_queue queue(1, 100);
  ASSERT_TRUE(queue.enter(0, std::nullopt, {1, 0}));
  ASSERT_EQ(queue.next(), 0u);
  admission_queue::request r = 0;
  const auto fill = [&](flow_id flow) {
    std::size_t count = 0;
    while (queue.enter(++r, std::nullopt, flow)) ++count;
    return count;
  };
  EXPECT_EQ(fill({1, 100}), 64u) << "four fifths of four fifths";
  EXPECT_EQ(fill({1, 200}), 13u) << "of the 16 that are left of 80";
  EXPECT_EQ(fill({1, 300}), 3u);
  EXPECT_EQ(fill({1, 400}), 0u);
  // Its first begins beyond the limit.
  ASSERT_TRUE(queue.enter(++r, std::nullopt, {2, 0}));
  ASSERT_EQ(queue.next(), r);
  EXPECT_GT(fill({2, 0}), 10u) << "of the 20 that the first caller leaves";
  EXPECT_EQ(queue.enter(++r, std::nullopt, {1, 0}).error().code, ec::busy);
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
  constexpr std::size_t most_running = 3, most_waiting = 8;
  admission_queue queue(most_running, most_waiting);
  struct item {
    std::uint64_t request = 0;
    flow_id flow;
  };
  std::deque<item> waiting, running;
  const auto of_caller = [](const std::deque<item>& some, flow_id flow) {
    return static_cast<std::size_t>(std::ranges::count_if(
        some, [&](const item& i) { return i.flow.caller == flow.caller; }));
  };
  const auto of_target = [](const std::deque<item>& some, flow_id flow) {
    return static_cast<std::size_t>(
        std::ranges::count(some, flow, &item::flow));
  };
  // Four fifths, rounded up, by counting.
  const auto share = [](std::size_t places) {
    std::size_t own = 0;
    while (5 * own < 4 * places) ++own;
    return own;
  };
  const auto may_begin = [&](flow_id flow) {
    return running.size() < most_running ||
           (of_caller(running, flow) == 0 && running.size() < 2 * most_running);
  };
  const auto has_room = [&](flow_id flow) {
    const auto own = of_caller(waiting, flow);
    if (own + of_caller(running, flow) == 0 && may_begin(flow)) return true;
    if (waiting.empty() && running.size() < most_running) return true;
    if (waiting.size() >= most_waiting) return false;
    const auto callers = share(most_waiting - (waiting.size() - own));
    const auto here = of_target(waiting, flow);
    return own < callers && here < share(callers - (own - here));
  };
  std::uint64_t last = 0;
  for (int step = 0; step < 40'000; ++step) {
    switch (random() % 3) {
      case 0: {
        // The first callers and targets come more often.
        const flow_id flow{random() % 16 % 7, random() % 5 % 3};
        const bool room = has_room(flow);
        ASSERT_EQ(static_cast<bool>(queue.enter(++last, std::nullopt, flow)),
                  room);
        if (room) waiting.push_back({last, flow});
        break;
      }
      case 1: {
        const auto next = queue.next();
        auto best = waiting.end();
        const auto rank = [&](const item& w) {
          return std::pair{of_caller(running, w.flow), w.request};
        };
        // The caller: fewest running, then the earliest of its requests.
        for (auto w = waiting.begin(); w != waiting.end(); ++w)
          if (may_begin(w->flow) &&
              (best == waiting.end() || rank(*w) < rank(*best)))
            best = w;
        if (best == waiting.end()) {
          ASSERT_EQ(next, std::nullopt);
          break;
        }
        // Of its targets that with the fewest running.
        const auto caller = best->flow.caller;
        for (auto w = waiting.begin(); w != waiting.end(); ++w)
          if (w->flow.caller == caller &&
              std::pair{of_target(running, w->flow), w->request} <
                  std::pair{of_target(running, best->flow), best->request})
            best = w;
        ASSERT_EQ(next, best->request);
        running.push_back(*best);
        waiting.erase(best);
        break;
      }
      default: {
        const std::uint64_t r = last == 0 ? 1 : 1 + random() % last;
        const auto is_it = [r](const item& i) { return i.request == r; };
        const bool here =
            std::erase_if(running, is_it) + std::erase_if(waiting, is_it) > 0;
        ASSERT_EQ(queue.leave(r), here);
      }
    }
    // Those that went long ago are asked for too rarely.
    if (!running.empty() && random() % 4 == 0) {
      ASSERT_TRUE(queue.leave(running.front().request));
      running.pop_front();
    }
    ASSERT_EQ(queue.waiting(), waiting.size());
    ASSERT_EQ(queue.running(), running.size());
  }
}

}  // namespace
}  // namespace t2
