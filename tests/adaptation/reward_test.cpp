#include "adaptation/reward.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "adaptation/choice_reward.hpp"
#include "adaptation/numeric_reward.hpp"

namespace t2 {
namespace {

double judge(const char* name, const std::string& answer,
             const std::string& reference,
             std::vector<std::string> choices = {}) {
  example e;
  e.id = "x";
  e.answer = reference;
  e.choices = std::move(choices);
  return *(*make_reward(name))->of_text(answer, e);
}

TEST(reward, is_known_by_name) {
  for (const std::string& name : reward_names())
    EXPECT_EQ((*make_reward(name, {.command = {"true"}}))->name(), name);
  const auto made = make_reward("bleu");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("numeric"), std::string::npos);
}

TEST(exact, passes_over_white_space_around_the_answer_only) {
  EXPECT_EQ(judge("exact", "  a cat\n", "a cat"), 1);
  EXPECT_EQ(judge("exact", "a  cat", "a cat"), -1);
  EXPECT_EQ(judge("exact", "A cat", "a cat"), -1);
  EXPECT_EQ(judge("exact", "", "a cat"), -1);
}

struct numeral {
  const char* text;
  double value;
};

class numeric : public testing::TestWithParam<numeral> {};

TEST_P(numeric, finds_the_final_number) {
  const auto found = final_number(GetParam().text);
  ASSERT_TRUE(found) << GetParam().text;
  EXPECT_DOUBLE_EQ(*found, GetParam().value) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    of, numeric,
    testing::Values(
        numeral{"42", 42}, numeral{"The answer is 42.", 42},
        numeral{"#### 72", 72}, numeral{"2 + 3 = 5\n#### 1,234\nDone 9", 1234},
        numeral{"so \\boxed{18} of 20", 18},
        numeral{"\\boxed{\\frac{3}{4}}", 0.75},
        numeral{"\\boxed{-\\frac{1}{2}}", -0.5},
        numeral{"\\boxed{1} then \\boxed{2}", 2}, numeral{"$1,000,000.50", 1000000.5},
        numeral{"It costs $5", 5}, numeral{"-7", -7}, numeral{"-$7", -7},
        numeral{"\xe2\x88\x92" "7", -7}, numeral{"10-3", 3},
        numeral{"from 5 to -2", -2}, numeral{"50%", 50}, numeral{"3.14", 3.14},
        numeral{".5", 0.5}, numeral{"1/2", 0.5}, numeral{"1e3", 1000},
        numeral{"2.5E-1", 0.25}, numeral{"1,23", 23}, numeral{"12,345", 12345},
        numeral{"1234,567", 567}, numeral{"x1 is 4", 4},
        numeral{"May 4 2010.", 2010}, numeral{"5 apples", 5},
        numeral{"1 2 3", 3}, numeral{"+6", 6}));

TEST(numeric, finds_no_number_where_there_is_none) {
  for (const char* text : {"", "none", "x2", "####", "\\boxed{x}", "-", "."})
    EXPECT_FALSE(final_number(text)) << text;
}

TEST(numeric, compares_with_tolerance) {
  EXPECT_EQ(judge("numeric", "#### 0.333333", "1/3"), 1);
  EXPECT_EQ(judge("numeric", "0.33", "1/3"), -1);
  EXPECT_EQ(judge("numeric", "1000000.4", "1000000"), 1);
  EXPECT_EQ(judge("numeric", "1000002", "1000000"), -1);
  EXPECT_EQ(judge("numeric", "seven", "7"), -1);
  EXPECT_EQ(judge("numeric", "9e999", "7"), -1);
}

// Any integer, written in any usual way, is read back.
TEST(numeric, reads_integers_with_and_without_commas) {
  for (std::int64_t n = 1; n < 2'000'000'000; n = n * 3 + 1) {
    std::string plain = std::to_string(n), grouped;
    for (std::size_t i = 0; i < plain.size(); ++i) {
      if (i > 0 && (plain.size() - i) % 3 == 0) grouped += ',';
      grouped += plain[i];
    }
    for (const std::string& text :
         {plain, grouped, "= " + grouped + ".", "$" + grouped + " in all",
          "#### " + grouped, "\\boxed{" + plain + "}", plain + "%"})
      EXPECT_EQ(final_number(text), static_cast<double>(n)) << text;
  }
}

TEST(choice, reads_labels) {
  for (const char* text :
       {"B", "(B)", "B.", "B) two", "**B**", "The answer is B.",
        "the answer is (B), not A", "Answer: B", "A or C? Answer: **B**",
        "I choose option B", "It must be (B) in the end"})
    EXPECT_EQ(judge("choice", text, "B"), 1) << text;
  for (const char* text : {"A", "", "A dog", "Because", "(A) or (B)",
                           "The answer is C"})
    EXPECT_EQ(judge("choice", text, "B"), -1) << text;
}

TEST(choice, reads_words_where_choices_are_listed) {
  const std::vector<std::string> cities{"Rome", "Paris", "New York"};
  for (const char* text : {"Paris", "paris", "B", "It is Paris.", "(B)"})
    EXPECT_EQ(judge("choice", text, "B", cities), 1) << text;
  EXPECT_EQ(judge("choice", "Paris", "Paris", cities), 1);
  EXPECT_EQ(judge("choice", "New York", "C", cities), 1);
  EXPECT_EQ(judge("choice", "Rome or Paris", "B", cities), -1);
  EXPECT_EQ(judge("choice", "D", "B", cities), -1);
}

TEST(choice, reads_digits_where_the_reference_is_one) {
  EXPECT_EQ(judge("choice", "2", "2"), 1);
  EXPECT_EQ(judge("choice", "The answer is 2.", "(2)"), 1);
  EXPECT_EQ(judge("choice", "3", "2"), -1);
}

TEST(choice, goes_by_likelihood_where_choices_are_listed) {
  example e;
  e.answer = "B";
  e.choices = {"Rome", "Paris", "Oslo"};
  const choice_reward reward;
  EXPECT_EQ(reward.evidence(e), reward_evidence::choice_likelihoods);
  EXPECT_EQ(reward.of_likelihoods(std::vector{-2.0, -1.0, -3.0}, e), 1);
  EXPECT_EQ(reward.of_likelihoods(std::vector{-1.0, -2.0, -3.0}, e), -1);
  e.choices.clear();
  EXPECT_EQ(reward.evidence(e), reward_evidence::text);
}

TEST(logprob, is_the_mean_itself_and_reads_no_text) {
  const auto reward = *make_reward("logprob");
  EXPECT_EQ(reward->evidence({}), reward_evidence::reference_likelihood);
  EXPECT_EQ(reward->of_likelihoods(std::vector{-1.5}, {}), -1.5);
  EXPECT_TRUE(std::isnan(*reward->of_text("x", {})));
}

TEST(reward, says_which_example_it_cannot_judge) {
  example e;
  e.id = "q7";
  e.answer = "?";
  for (const char* name : {"numeric", "choice"}) {
    const auto fine = (*make_reward(name))->check(e);
    ASSERT_FALSE(fine) << name;
    EXPECT_NE(fine.error().message.find("q7"), std::string::npos);
  }
  e.answer = "";
  EXPECT_FALSE((*make_reward("exact"))->check(e));
  EXPECT_FALSE((*make_reward("logprob"))->check(e));
}

}  // namespace
}  // namespace t2
