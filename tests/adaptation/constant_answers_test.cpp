#include "adaptation/constant_answers.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace t2 {
namespace {

/// Examples of different prompts with these references under one reward.
struct quiz {
  std::shared_ptr<const reward> judge;
  std::vector<example> examples;
  prompt_groups prompts;
  constant_answers constants;

  quiz(const char* reward_name, const std::vector<std::string>& references,
       const std::vector<std::string>& choices = {})
      : judge(*make_reward(reward_name)) {
    for (const std::string& reference : references)
      examples.push_back({.id = std::to_string(examples.size()),
                          .prompt = "q" + std::to_string(examples.size()),
                          .answer = reference,
                          .choices = choices});
    prepare();
  }
  void prepare() {
    prompts = prompt_groups::of(examples);
    constants = constant_answers::of(judged(), prompts);
  }
  std::vector<judged_example> judged() const {
    std::vector<judged_example> out;
    for (const example& e : examples) out.push_back({&e, judge.get()});
    return out;
  }
  /// Of each prompt, what saying these things earns.
  std::vector<double> rewards(const std::vector<std::string>& said) const {
    std::vector<double> out;
    for (std::size_t i = 0; i < examples.size(); ++i)
      out.push_back(*judge->of_text(said[i], examples[i]));
    return prompts.means(out);
  }
  std::vector<double> always(const std::string& text) const {
    return rewards(std::vector<std::string>(examples.size(), text));
  }
};

double mean(const std::vector<double>& of) {
  return std::accumulate(of.begin(), of.end(), 0.0) /
         static_cast<double>(of.size());
}

std::vector<std::string> words(const std::vector<std::uint8_t>& classes,
                               int count) {
  std::vector<std::string> out;
  for (const auto c : classes) out.push_back("class " + std::to_string(c % count));
  return out;
}

// The promise: whoever always says the same is never better than a constant.
RC_GTEST_PROP(constant_answers, are_never_beaten_by_one,
              (const std::vector<std::uint8_t>& classes)) {
  const int count = *rc::gen::inRange(2, 6);
  RC_PRE(!classes.empty());
  const quiz asked{"exact", words(classes, count)};
  for (int c = 0; c < count; ++c) {
    const auto rewards = asked.always("class " + std::to_string(c));
    const auto found = compare_with_constant(rewards, asked.constants);
    if (!found) continue;
    RC_ASSERT(!found->better(0));
    RC_ASSERT(!found->better(1));
  }
}

// And whoever knows every answer is, wherever the question makes sense.
RC_GTEST_PROP(constant_answers, are_beaten_by_knowing,
              (const std::vector<std::uint8_t>& classes)) {
  const quiz asked{"exact", words(classes, *rc::gen::inRange(2, 6))};
  std::vector<std::string> known;
  std::map<std::string, int> counts;
  for (const example& e : asked.examples) {
    known.push_back(e.answer);
    ++counts[e.answer];
  }
  const auto twice = std::ranges::count_if(
      counts, [](const auto& one) { return one.second >= 2; });
  RC_ASSERT(asked.constants.rival() == (twice >= 2));
  if (twice < 2) return;
  RC_ASSERT(compare_with_constant(asked.rewards(known), asked.constants)
                ->better(1));
}

// The best constant is the one that brute force finds.
RC_GTEST_PROP(constant_answers, find_the_best_one,
              (const std::vector<std::uint8_t>& classes)) {
  RC_PRE(!classes.empty());
  const auto references = words(classes, 4);
  const quiz asked{"exact", references};
  double best = -2;
  for (const auto& text : references)
    best = std::max(best, mean(asked.always(text)));
  RC_ASSERT(std::abs(asked.constants.mean_reward(asked.constants.best()) -
                     best) < 1e-12);
}

// Leaving one out would choose the other class each time, and call a constant
// half right where the best one is never.
TEST(constant_answers, are_half_right_on_two_classes_of_two) {
  const quiz asked{"exact", {"yes", "no", "yes", "no"}};
  EXPECT_TRUE(asked.constants.rival());
  EXPECT_NEAR(mean(asked.constants.cross_fitted()), 0, 1e-12);
  const auto collapsed =
      compare_with_constant(asked.always("yes"), asked.constants);
  EXPECT_NEAR(collapsed->gain.mean, 0, 1e-12);
  EXPECT_FALSE(collapsed->better(1));
  // Four right of four, three of four.
  EXPECT_TRUE(compare_with_constant(asked.rewards({"yes", "no", "yes", "no"}),
                                    asked.constants)
                  ->better(1));
  EXPECT_FALSE(compare_with_constant(asked.rewards({"yes", "no", "yes", "yes"}),
                                     asked.constants)
                   ->better(1));
}

// Of seven, five "yes": each half is majority "yes", which is right on five.
TEST(constant_answers, are_chosen_on_the_other_half) {
  const quiz asked{"exact", {"yes", "no", "yes", "yes", "no", "yes", "yes"}};
  EXPECT_EQ(asked.constants.cross_fitted(), asked.always("yes"));
  const auto found = compare_with_constant(
      asked.rewards({"yes", "no", "yes", "no", "no", "yes", "yes"}),
      asked.constants);
  // Differences 0 2 0 -2 2 0 0; the error is scipy.stats.sem of them
  EXPECT_NEAR(found->gain.mean, 2.0 / 7, 1e-12);
  EXPECT_NEAR(found->gain.standard_error, 0.5216405309573011, 1e-9);
  EXPECT_FALSE(found->better(1));
}

TEST(constant_answers, need_two_prompts_of_two_classes_not_copies) {
  EXPECT_FALSE((quiz{"exact", {"a", "b", "c", "d", "e"}}.constants.rival()));
  EXPECT_FALSE((quiz{"exact", {"a", "a", "a", "b"}}.constants.rival()));
  EXPECT_FALSE((quiz{"exact", {"a", "a", "a", "a"}}.constants.rival()));
  EXPECT_TRUE((quiz{"exact", {"a", "b", "a", "b"}}.constants.rival()));
  quiz copies{"exact", {"a", "b", "a", "b"}};
  copies.examples[2].prompt = copies.examples[0].prompt;
  copies.prepare();
  EXPECT_FALSE(copies.constants.rival());
}

TEST(constant_answers, are_judged_by_the_reward) {
  // The same number in other words is one constant.
  const quiz sums{"numeric", {"42", "#### 42", "It is 42.0.", "7", "7"}};
  ASSERT_EQ(sums.constants.texts().size(), 2u);
  EXPECT_EQ(sums.constants.mean_reward(sums.constants.best()), 0.2);
  EXPECT_TRUE(sums.constants.rival());
  // So are a label and its words, where the choices are the same.
  const quiz moods{"choice", {"good", "A", "bad", "B", "good"}, {"good", "bad"}};
  ASSERT_EQ(moods.constants.texts().size(), 2u);
  EXPECT_TRUE(moods.constants.rival());
  // "Always the first" is a constant, whatever the choices are.
  quiz first{"choice", {"Rome", "Paris", "Oslo", "Bern"}, {"x", "y"}};
  const char* towns[4][2] = {
      {"Rome", "Kiel"}, {"Paris", "Lyon"}, {"Bonn", "Oslo"}, {"Graz", "Bern"}};
  for (std::size_t i = 0; i < 4; ++i)
    first.examples[i].choices = {towns[i][0], towns[i][1]};
  first.prepare();
  EXPECT_TRUE(first.constants.rival());
  EXPECT_EQ(first.constants.mean_reward(first.constants.best()), 0);
  EXPECT_FALSE(
      compare_with_constant(first.always("A"), first.constants)->better(0));
}

TEST(constant_answers, leave_rewards_that_run_programs_alone) {
  const quiz asked{"python", {"a", "b", "a", "b"}};
  EXPECT_TRUE(asked.constants.empty());
  EXPECT_FALSE(compare_with_constant(std::vector<double>(4, 1.0),
                                     asked.constants));
}

}  // namespace
}  // namespace t2
