#include "http/json_forms.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace t2 {
namespace {

TEST(task_form, keeps_what_a_reward_may_want_of_an_example) {
  const auto task = parse_task(
      R"({"name":"sums","reward":"choice","description":"d",
          "options":{"system":"s"},
          "examples":[{"prompt":"p","answer":"a","choices":["a","b"]},
                      {"id":"two","messages":[{"role":"user","content":"m"}],
                       "answer":7}]})");
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(task->name, "sums");
  EXPECT_EQ(task->reward, "choice");
  EXPECT_EQ(task->options_json, R"({"system":"s"})");
  ASSERT_EQ(task->examples.size(), 2u);
  EXPECT_EQ(task->examples[0].id, "example-1");
  EXPECT_EQ(task->examples[0].prompt, "p");
  EXPECT_EQ(task->examples[0].extra_json, R"({"choices":["a","b"]})");
  EXPECT_EQ(task->examples[1].answer, "7");
  EXPECT_EQ(task->examples[1].extra_json,
            R"({"messages":[{"content":"m","role":"user"}]})");
  // What goes in comes out.
  const auto form = form_of(*task);
  EXPECT_EQ(form["examples"][1]["messages"][0]["content"], "m");
  EXPECT_FALSE(form["examples"][1].contains("prompt"));
  EXPECT_EQ(form["options"]["system"], "s");
}

TEST(task_form, refuses_examples_that_teach_nothing) {
  const auto error_of = [](const std::string& examples) {
    const auto task = parse_task(R"({"name":"x","examples":)" + examples + "}");
    return task ? "" : task.error().message;
  };
  EXPECT_EQ(error_of("[]"),
            "body.examples: expected a list of examples, found a list");
  EXPECT_EQ(error_of(R"([{"prompt":"p"}])"),
            "body.examples[0].answer: expected a text, found none");
  EXPECT_EQ(error_of(R"([{"id":"a","prompt":"p","answer":"x"},
                         {"id":"a","prompt":"q","answer":"y"}])"),
            "body.examples: the id 'a' is given twice");
}

TEST(adapt_form, starts_from_the_configured_search) {
  search_options configured;
  configured.population = 9;
  configured.seconds = 3;
  const auto request = parse_adapt(
      "sums", R"({"force":true,"iterations":2,"experts":["a","b"]})",
      configured);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->task, "sums");
  EXPECT_TRUE(request->force);
  EXPECT_EQ(request->search.population, 9);
  EXPECT_EQ(request->search.seconds, 3);
  EXPECT_EQ(request->search.iterations, 2);
  EXPECT_EQ(request->experts, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(parse_adapt("sums", R"({"iterations":0})", configured));
  EXPECT_FALSE(parse_adapt("sums", R"({"iteratons":3})", configured));
}

TEST(training_form, starts_from_the_defaults) {
  const auto spec = parse_training(
      "lists", R"({"data":"a\n\nb","format":"text","steps":7,"norm":"nuclear",
                   "learning_rate":0.01})");
  ASSERT_TRUE(spec) << spec.error().message;
  const training_spec usual;
  EXPECT_EQ(spec->name, "lists");
  EXPECT_EQ(spec->data, "a\n\nb");
  EXPECT_EQ(spec->steps, 7);
  EXPECT_EQ(spec->norm, "nuclear");
  EXPECT_EQ(spec->batch, usual.batch);
  EXPECT_EQ(parse_training("x", R"({"data":"a","objective":"magic"})")
                .error()
                .message,
            "body.objective: expected one of next-token, reinforce, found \"magic\"");
}

TEST(form_of, says_what_pass_1_thought_of_each_class) {
  routing route;
  route.strategy = "classifier";
  route.label = "code";
  route.confidence = 0.75;
  route.probabilities = {{"code", 0.75}, {"other", 0.25}};
  const auto form = form_of(route);
  EXPECT_EQ(form.at("confidence"), 0.75);
  EXPECT_EQ(form.at("probabilities").dump(), R"({"code":0.75,"other":0.25})");
}

TEST(dump_json, is_valid_whatever_bytes_a_text_has) {
  EXPECT_EQ(dump_json({{"t", "a\xff\n"}}), "{\"t\":\"a\xEF\xBF\xBD\\n\"}");
  EXPECT_EQ(dump_json({{"n", std::nan("")}}), R"({"n":null})");
}

}  // namespace
}  // namespace t2
