#include "adaptation/answer_report.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

namespace t2 {
namespace {

struct quiz {
  std::shared_ptr<const reward> judge;
  std::vector<example> examples;

  quiz(const char* reward_name, const std::vector<std::string>& references)
      : judge(*make_reward(reward_name)) {
    for (const std::string& reference : references)
      examples.push_back({.id = std::to_string(examples.size()),
                          .prompt = "q" + std::to_string(examples.size()),
                          .answer = reference});
  }
  answer_report report(const std::vector<std::string>& said) const {
    std::vector<judged_example> judged;
    std::vector<judged_answer> answers;
    for (std::size_t i = 0; i < said.size(); ++i) {
      judged.push_back({&examples[i], judge.get()});
      answers.push_back({said[i], *judge->of_text(said[i], examples[i])});
    }
    const auto prompts = prompt_groups::of(examples);
    return answer_report::of(judged, answers, prompts,
                             constant_answers::of(judged, prompts));
  }
};

// By hand: meant yes yes yes no no no, said yes no else no no yes.
TEST(answer_report, tells_who_was_taken_for_what) {
  const quiz asked{"exact", {"yes", "yes", "yes", "no", "no", "no"}};
  const auto report =
      asked.report({" yes ", "no", "perhaps", "no", "no", "yes"});
  EXPECT_EQ(report.right, 3u);
  EXPECT_EQ(report.distinct, 3u);
  ASSERT_EQ(report.common.size(), 3u);
  EXPECT_EQ(report.common[0], (std::pair<std::string, std::size_t>{"no", 3}));
  EXPECT_EQ(report.common[1], (std::pair<std::string, std::size_t>{"yes", 2}));
  ASSERT_EQ(report.classes.size(), 2u);
  EXPECT_EQ(report.classes[0].name, "yes");
  EXPECT_EQ(report.confusion, (std::vector<std::vector<std::size_t>>{
                                  {1, 1, 1}, {1, 2, 0}}));
  EXPECT_DOUBLE_EQ(report.classes[0].precision(), 1.0 / 2);
  EXPECT_DOUBLE_EQ(report.classes[0].recall(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(report.classes[1].precision(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(report.classes[1].recall(), 2.0 / 3);
  const auto form = report.form();
  EXPECT_EQ(form["answers"], 6);
  EXPECT_EQ(form["confusion"], (nlohmann::json{{1, 1, 1}, {1, 2, 0}}));
  EXPECT_EQ(form["classes"][1]["count"], 3);
  EXPECT_EQ(form["constant"]["answer"], "no") << "right where these are";
  EXPECT_EQ(form["constant"]["right"], 3);
}

// Of balanced classes both constants earn the same: each is named to those who
// say it.
TEST(answer_report, names_the_constant_that_somebody_says_all_the_time) {
  const quiz asked{"exact", {"yes", "no", "yes", "no", "yes", "no"}};
  for (const std::string always : {"yes", "no", "Yes."}) {
    const auto form =
        asked.report(std::vector<std::string>(6, always)).form();
    EXPECT_EQ(form["constant"]["answer"], always == "no" ? "no" : "yes");
    EXPECT_EQ(form["constant"]["right"], 3);
    EXPECT_EQ(form["constant"]["as_good"], true);
  }
  // One that earns more is named whatever is said.
  const quiz skewed{"exact", {"yes", "no", "yes", "no", "yes"}};
  EXPECT_EQ(skewed.report(std::vector<std::string>(5, "no"))
                .form()["constant"]["answer"],
            "yes");
}

TEST(answer_report, knows_a_class_by_what_the_reward_takes_for_it) {
  const quiz sums{"numeric", {"7", "7", "12", "12"}};
  const auto report =
      sums.report({"So it is 7.", "12.0", "#### 7", "I do not know"});
  ASSERT_EQ(report.classes.size(), 2u);
  EXPECT_EQ(report.confusion, (std::vector<std::vector<std::size_t>>{
                                  {1, 1, 0}, {1, 0, 1}}));
  const quiz labels{"choice", {"A", "B", "A", "B"}};
  EXPECT_EQ(labels.report({"(A)", "The answer is A.", "B) so", "B"}).confusion,
            (std::vector<std::vector<std::size_t>>{{1, 1, 0}, {1, 1, 0}}));
}

// Collapsed, it is said; knowing much, it never is.
TEST(answer_report, says_which_answers_are_no_better_than_a_constant) {
  std::vector<std::string> references, always, mostly, knowing;
  for (int i = 0; i < 120; ++i) {
    references.push_back(i % 9 < 5 ? "positive" : "negative");
    always.push_back("positive");
    mostly.push_back(i % 60 == 8 ? "negative" : "positive");
    knowing.push_back(i % 7 == 0 ? "positive" : references.back());
  }
  const quiz asked{"exact", references};
  const auto collapsed = asked.report(always);
  ASSERT_TRUE(collapsed.constant && collapsed.constant->gain);
  EXPECT_TRUE(collapsed.constant->as_good);
  EXPECT_EQ(collapsed.constant->text, "positive");
  EXPECT_EQ(collapsed.common[0].second, 120u);
  EXPECT_EQ(collapsed.classes[1].recall(), 0);
  // Two of 120 answers differ, both rightly: no evidence yet.
  EXPECT_TRUE(asked.report(mostly).constant->as_good);
  const auto honest = asked.report(knowing);
  EXPECT_FALSE(honest.constant->as_good);
  EXPECT_GT(honest.constant->gain->low, 0);
}

RC_GTEST_PROP(answer_report, calls_every_constant_as_good_as_one,
              (const std::vector<std::uint8_t>& classes)) {
  RC_PRE(!classes.empty());
  std::vector<std::string> references;
  for (const auto c : classes)
    references.push_back("class " + std::to_string(c % 3));
  const quiz asked{"exact", references};
  for (const char* text : {"class 0", "class 1", "class 2", "else"}) {
    const auto report =
        asked.report(std::vector<std::string>(classes.size(), text));
    RC_ASSERT(!report.constant->gain || report.constant->as_good);
    RC_ASSERT(report.common.size() == 1);
    RC_ASSERT(report.distinct == 1);
  }
}

// An open answer has no classes.
TEST(answer_report, makes_no_table_of_answers_that_all_differ) {
  const quiz asked{"numeric", {"1", "2", "3", "4", "5"}};
  const auto report = asked.report({"1", "1", "1", "4", "5"});
  EXPECT_TRUE(report.classes.empty());
  ASSERT_TRUE(report.constant);
  EXPECT_FALSE(report.constant->gain);
  EXPECT_EQ(report.constant->right, 1u);
}

TEST(answer_report, cuts_what_it_shows_between_characters) {
  const std::string long_text(79, 'x');
  EXPECT_EQ(shown_answer(" " + long_text + "é "), long_text + "…");
  EXPECT_EQ(shown_answer(long_text + "y"), long_text + "y");
}

}  // namespace
}  // namespace t2
