// What `search.seconds` are of: the time that a search was given, told by the
// engine's clock of its thread, and not the time that went by meanwhile.
#include "actors/search_run.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "actors/function_job.hpp"
#include "actors/work_meters.hpp"
#include "adaptation/expert_pool.hpp"
#include "tests/adaptation/engine_driver.hpp"
#include "tests/adaptation/stories_model.hpp"
#include "tests/adaptation/tiny_shape.hpp"

namespace t2 {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// Two experts that are as good as any.
std::shared_ptr<const expert_pool> some_experts() {
  const auto layout = std::make_shared<svf_layout>(stories_model()->config(),
                                                   svf_targets::attention);
  std::vector<expert_ref> experts;
  for (const std::uint64_t seed : {1, 2}) {
    auto e = std::make_shared<expert>();
    e->name = "e" + std::to_string(seed);
    e->version = 1;
    e->targets = svf_targets::attention;
    e->z = random_vector(layout->total(), 0.8f, 1.2f, seed);
    experts.push_back(std::move(e));
  }
  return std::make_shared<expert_pool>(*expert_pool::make(
      std::move(experts), layout, *stories_model()->singular_values(*layout)));
}

std::shared_ptr<const adaptation_plan> short_search(double seconds) {
  auto plan = std::make_shared<adaptation_plan>();
  plan->task.reward = "logprob";
  for (const char* answer : {"The cat ran.", "The dog sat.", "A bird sang."})
    plan->task.examples.push_back({.id = answer, .answer = answer});
  plan->search.population = 8;
  plan->search.iterations = 4;
  plan->search.seconds = seconds;
  return plan;
}

/// A search on a real engine, metered as the actors do it, whose thread's time
/// is told by the test.
struct given_search {
  explicit given_search(double seconds,
                        std::function<std::chrono::nanoseconds()> thread_time)
      : on{stories_model(), {.thread_time = std::move(thread_time)}},
        run{short_search(seconds), {}, [this] { return meters.of(whose); }} {
    on.on_background([this](sequence_id, std::chrono::nanoseconds given) {
      meters.add(whose, given);
    });
  }

  /// On the engine's thread, in slices, as all of a search's arithmetic.
  void slices(std::function<bool()> work) {
    bool done = false;
    on.run(make_job([work = std::move(work)](language_model&) {
             return work();
           }),
           [&] { done = true; });
    while (!done && on.step()) {
    }
    EXPECT_TRUE(done);
  }

  /// To its end; `between` is done after each work.
  nlohmann::json costs(const std::function<void()>& between = [] {}) {
    const auto pool = some_experts();
    slices([&] { return run.prepare(stories_model(), pool); });
    while (run.work() && std::holds_alternative<score_work>(*run.work())) {
      run.take(std::make_shared<std::vector<row_score>>(
          score_all(on, std::get<score_work>(*run.work()).rows)));
      between();
      slices([&] { return run.advance(); });
    }
    const auto record = run.outcome("a base");
    if (!record) {
      ADD_FAILURE() << record.error().message;
      return {};
    }
    truncated = record->truncated;
    return nlohmann::json::parse(record->cost_json);
  }

  static constexpr ticket whose = 7;
  work_meters meters;
  engine on;
  search_run run;
  bool truncated = false;
};

TEST(search_run, goes_on_for_as_long_as_it_likes_where_it_is_given_no_time) {
  given_search search{1, [] { return 0ns; }};
  const auto begin = clock::now();
  bool slept = false;
  const auto costs = search.costs([&] {
    if (!std::exchange(slept, true)) std::this_thread::sleep_for(1100ms);
  });
  EXPECT_GT(clock::now() - begin, 1s);
  EXPECT_FALSE(search.truncated);
  EXPECT_EQ(costs["iterations"], 4);
  EXPECT_EQ(costs["seconds"], 0.0);
}

TEST(search_run, ends_when_it_was_given_its_seconds_however_few_went_by) {
  auto given = 0ns;
  given_search search{3600, [&] { return given += 600s; }};
  const auto begin = clock::now();
  const auto costs = search.costs();
  EXPECT_LT(clock::now() - begin, 1800s);
  EXPECT_TRUE(search.truncated);
  EXPECT_LT(costs["iterations"], 4);
  EXPECT_GE(costs["seconds"], 3600.0);
}

}  // namespace
}  // namespace t2
