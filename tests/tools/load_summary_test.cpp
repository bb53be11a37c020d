#include "tools/load_summary.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tools/load_plan.hpp"
#include "tools/percentile.hpp"

namespace t2 {
namespace {

/// The definition, counted out: the least value that enough values do not pass.
double naive_percentile(const std::vector<double>& values, double fraction) {
  auto candidates = values;
  std::ranges::sort(candidates);
  for (const double candidate : candidates) {
    const auto below = std::ranges::count_if(
        values, [&](double value) { return value <= candidate; });
    if (static_cast<double>(below) >=
        fraction * static_cast<double>(values.size())) {
      return candidate;
    }
  }
  return 0;
}

load_outcome answered(std::string target, std::size_t prompt,
                      std::string text) {
  return {.end = load_end::ok,
          .target = std::move(target),
          .prompt = prompt,
          .latency = 0.5,
          .first_token = 0.25,
          .gaps = {0.125, 0.125},
          .text = std::move(text),
          .prompt_tokens = 10,
          .answer_tokens = 3};
}

TEST(percentile, is_what_its_definition_says) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> value(0, 30);  // with equal ones
  for (int size = 1; size < 60; ++size) {
    std::vector<double> values;
    for (int i = 0; i < size; ++i) values.push_back(value(random));
    for (const double fraction : {0.5, 0.9, 0.95, 0.99, 1.0}) {
      EXPECT_EQ(percentile(values, fraction),
                naive_percentile(values, fraction));
    }
  }
  EXPECT_EQ(percentile({}, 0.5), 0);
}

TEST(load_summary, gives_times_in_milliseconds) {
  std::vector<double> seconds;
  for (int i = 100; i > 0; --i) seconds.push_back(i / 1000.0);
  const auto form = times_form(seconds);
  EXPECT_NEAR(form.at("p50").get<double>(), 50, 1e-9);
  EXPECT_NEAR(form.at("p99").get<double>(), 99, 1e-9);
  EXPECT_NEAR(form.at("max").get<double>(), 100, 1e-9);
  EXPECT_NEAR(form.at("mean").get<double>(), 50.5, 1e-9);
  EXPECT_TRUE(times_form({}).is_null());
}

TEST(load_summary, counts_as_a_whole_and_by_target) {
  load_summary summary;
  summary.add(answered("base", 0, "a"));
  summary.add(answered("tales", 0, "b"));
  summary.add({.end = load_end::busy,
               .target = "base",
               .problem = error{ec::busy, "full"}});
  summary.add({.end = load_end::vanished, .target = "base"});
  summary.add_dropped();
  EXPECT_FALSE(summary.first_problem());
  summary.add({.end = load_end::incomplete,
               .target = "tales",
               .problem = error{ec::internal, "not whole"}});
  ASSERT_TRUE(summary.first_problem());
  EXPECT_EQ(summary.first_problem()->message, "not whole");

  const auto form = summary.form(2);
  EXPECT_EQ(form.at("requests").at("ok"), 2);
  EXPECT_EQ(form.at("requests").at("busy"), 1);
  EXPECT_EQ(form.at("requests").at("incomplete"), 1);
  EXPECT_EQ(form.at("misbehaved").at("vanished"), 1);
  EXPECT_EQ(form.at("dropped"), 1);
  EXPECT_EQ(form.at("requests_per_second"), 1.0);
  EXPECT_EQ(form.at("output_tokens_per_second"), 3.0);
  EXPECT_EQ(form.at("prompt_tokens_per_second"), 10.0);
  EXPECT_EQ(form.at("models").at("base").at("requests").at("ok"), 1);
  EXPECT_EQ(form.at("models").at("base").at("requests").at("busy"), 1);
  EXPECT_EQ(form.at("models").at("tales").at("requests").at("busy"), 0);
  EXPECT_FALSE(form.contains("check"));
  EXPECT_NE(print_load(form).find("2 ok, 1 busy"), std::string::npos);
}

TEST(load_summary, counts_answers_that_differ_from_the_first) {
  load_summary summary(true);
  summary.add(answered("base", 0, "a"));
  summary.add(answered("base", 1, "b"));   // another prompt
  summary.add(answered("tales", 0, "c"));  // another target
  EXPECT_EQ(summary.form(1).at("check").at("compared"), 0);
  summary.add(answered("base", 0, "a"));
  summary.add(answered("base", 0, "A"));
  EXPECT_EQ(summary.form(1).at("check").at("compared"), 2);
  EXPECT_EQ(summary.divergent(), 1);
}

TEST(load_plan, gives_every_target_every_prompt_in_turn) {
  const load_plan plan(synthetic_prompts(2, 5, 1), {"base", "tales", "auto"},
                       {{"max_tokens", 8}});
  std::map<std::pair<std::string, std::size_t>, int> asked;
  for (std::size_t i = 0; i < 12; ++i) {
    const auto request = plan.request(i);
    const auto body = ordered_json::parse(request.body);
    EXPECT_EQ(body.at("model"), request.target);
    EXPECT_EQ(body.at("max_tokens"), 8);
    EXPECT_EQ(body.at("stream"), true);
    const auto prompt = body.at("prompt").get<std::string>();
    EXPECT_EQ(std::ranges::count(prompt, ' '), 4) << prompt;
    ++asked[{request.target, request.prompt}];
  }
  EXPECT_EQ(asked.size(), 6u);
  for (const auto& [key, times] : asked) EXPECT_EQ(times, 2);
  EXPECT_NE(plan.request(0).body, plan.request(3).body);
  EXPECT_EQ(plan.request(0).body, plan.request(6).body);
}

TEST(load_plan, takes_conversations_and_the_tasks_of_lines) {
  task_line line{.prompt = std::vector<chat_message>{{"user", "Hello"}}};
  line.task = "sums";
  const load_plan plan(prompts_of({line}), {}, ordered_json::object());
  const auto request = plan.request(3);
  EXPECT_EQ(request.path, "/v1/chat/completions");
  EXPECT_EQ(request.target, "sums");
  const auto body = ordered_json::parse(request.body);
  EXPECT_EQ(body.at("messages").at(0).at("content"), "Hello");
}

}  // namespace
}  // namespace t2
