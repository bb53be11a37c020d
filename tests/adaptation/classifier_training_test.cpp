// An expert for pass 1 learns to say labels to what pass 1 asks.
#include <gtest/gtest.h>

#include "adaptation/expert_training.hpp"
#include "adaptation/label_classifier.hpp"
#include "adaptation/rollout_round.hpp"
#include "tests/adaptation/stories_model.hpp"

namespace t2 {
namespace {

training_spec classifier_spec() {
  training_spec spec;
  spec.name = "router";
  spec.objective = "reinforce";
  spec.classify = true;
  spec.labels = {"cat: animals", "park"};
  spec.data =
      R"({"id":"a","prompt":"Tell me of the cat.","answer":"cat"}
{"id":"b","prompt":"Where do we play?","answer":"park"}
{"id":"c","prompt":"What is the sum?","answer":"other"}
)";
  return spec;
}

TEST(classifier_training, asks_what_pass_1_asks) {
  const auto spec = classifier_spec();
  const auto questions = make_questions(
      stories_model(), *parse_examples(spec.data, "data"), spec, {});
  ASSERT_TRUE(questions) << questions.error().message;
  const auto pass_1 = label_classifier::make(
      stories_model(), {{"cat", "animals"}, {"park", ""}});
  ASSERT_TRUE(pass_1);
  for (const question& asked : *questions) {
    EXPECT_EQ(asked.prompt, *pass_1->prompt({.prompt = asked.source.prompt}));
    // What the runtime scores begins with it.
    const auto rows = pass_1->rows({.prompt = asked.source.prompt});
    EXPECT_TRUE(std::equal(asked.prompt.begin(), asked.prompt.end(),
                           rows->rows[0].tokens.begin()));
    const std::vector<judged_text> said{{asked.source.answer, &asked.source},
                                        {"cats", &asked.source}};
    const auto rewards = asked.judge->of_texts(said);
    EXPECT_EQ(*rewards[0], 1);
    EXPECT_EQ(*rewards[1], -1);
  }
}

TEST(classifier_training, refuses_an_answer_that_is_no_label) {
  auto spec = classifier_spec();
  spec.data = R"({"id":"a","prompt":"x","answer":"dog"})";
  const auto questions = make_questions(
      stories_model(), *parse_examples(spec.data, "data"), spec, {});
  ASSERT_FALSE(questions);
  EXPECT_EQ(questions.error().message,
            "example a: answer: expected a label of cat, park, other, found "
            "'dog'");
}

TEST(classifier_training, wants_the_policy_gradient) {
  auto spec = classifier_spec();
  spec.objective = "next-token";
  const auto made = expert_training::make(stories_model(), spec);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::invalid_argument);
}

// The leak guard knows the queries themselves, not the frame round them.
TEST(classifier_training, remembers_the_queries_that_it_has_seen) {
  auto spec = classifier_spec();
  spec.steps = 1;
  spec.batch = 2;
  spec.samples = 2;
  spec.validation = 0.3;
  spec.validate_every = 1;
  spec.max_answer_tokens = 2;
  const auto training = expert_training::make(stories_model(), spec);
  ASSERT_TRUE(training) << training.error().message;
  while ((*training)->advance(*stories_model())) {
  }
  const auto trained = (*training)->outcome();
  ASSERT_TRUE(trained) << trained.error().message;
  ASSERT_TRUE(trained->trained.seen);
  const auto examples = *parse_examples(spec.data, "data");
  EXPECT_FALSE(refuse_seen(examples, *trained->trained.seen, "router"));
  EXPECT_TRUE(refuse_seen(*parse_examples(
                              R"({"prompt":"What else?","answer":"park"})",
                              "test"),
                          *trained->trained.seen, "router"));
}

}  // namespace
}  // namespace t2
