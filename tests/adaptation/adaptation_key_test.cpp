#include "adaptation/adaptation_key.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace t2 {
namespace {

struct inputs {
  std::string base = "b";
  std::vector<keyed_version> versions{{"math", 1, "aa"}, {"code", 2, "bb"}};
  std::string strategy = "few-shot";
  few_shot_options options;
  std::vector<example> examples{{.id = "1", .prompt = "p", .answer = "a"},
                                {.id = "2", .prompt = "q", .answer = "b"}};
  std::string reward = "exact";
  prompt_form form = prompt_form::raw;
  std::string template_variables;

  std::string key() const {
    return adaptation_key(base, versions, strategy, options, examples, reward,
                          form, template_variables);
  }
};

TEST(adaptation_key, is_the_same_for_the_same_search) {
  inputs a, b;
  EXPECT_EQ(a.key(), b.key());
  EXPECT_EQ(a.key().size(), 64u);
  std::swap(b.versions[0], b.versions[1]);
  EXPECT_EQ(a.key(), b.key());
}

// SHA-256 of the JSON that Python's json and hashlib make of it. Stores are full
// of such keys: searches whose prompts are raw keep them for ever.
TEST(adaptation_key, of_raw_prompts_is_what_it_was_before_there_were_forms) {
  EXPECT_EQ(inputs{}.key(),
            "42055bc0a14f8b6bb85546da12a6ebeb6f30d0e4d48df6e5bec8183ebfdbf5f7");
}

TEST(adaptation_key, of_prompts_in_the_chat_template_says_so) {
  inputs i;
  i.form = prompt_form::chat;
  EXPECT_EQ(i.key(),
            "8b9128cdbdc7d9bd4f3377309db344613bb85255df55acd5b1c32c3678da31e8");
}

TEST(adaptation_key, of_conversations_alone_knows_no_form) {
  inputs raw, chat;
  for (inputs* i : {&raw, &chat})
    i->examples = {{.id = "1", .messages = {{"user", "p"}}, .answer = "a"}};
  chat.form = prompt_form::chat;
  EXPECT_EQ(raw.key(), chat.key());
}

TEST(adaptation_key, knows_what_the_chat_template_is_told) {
  inputs told, otherwise;
  told.template_variables = R"({"enable_thinking": false, "n": 1})";
  EXPECT_EQ(told.key(), inputs{}.key());  // all are asked raw
  told.form = otherwise.form = prompt_form::chat;
  EXPECT_NE(told.key(), otherwise.key());
  otherwise.template_variables = R"({"n":1,"enable_thinking":false})";
  EXPECT_EQ(told.key(), otherwise.key());
}

TEST(adaptation_key, passes_over_what_changes_no_outcome) {
  inputs a, b;
  b.options.seconds = 1;
  b.options.delta_bytes = 1;
  EXPECT_EQ(a.key(), b.key());
}

TEST(adaptation_key, differs_in_all_that_changes_the_outcome) {
  const std::vector<std::function<void(inputs&)>> changes{
      [](inputs& i) { i.base = "c"; },
      [](inputs& i) { i.versions[0].version = 2; },
      [](inputs& i) { i.versions[0].sha256 = "cc"; },
      [](inputs& i) { i.versions.pop_back(); },
      [](inputs& i) { i.strategy = "prompt"; },
      [](inputs& i) { i.options.optimiser = "random"; },
      [](inputs& i) { i.options.population = 16; },
      [](inputs& i) { i.options.elite = 0.1; },
      [](inputs& i) { i.options.sigma = 0.25; },
      [](inputs& i) { i.options.iterations = 9; },
      [](inputs& i) { i.options.per_projection = true; },
      [](inputs& i) { i.options.rule = mixture_rule::paper; },
      [](inputs& i) { i.options.tokens = 5; },
      [](inputs& i) { i.options.folds = 2; },
      [](inputs& i) { i.options.survivors = 2; },
      [](inputs& i) { i.options.preselect = 2; },
      [](inputs& i) { i.options.standard_errors = 0; },
      [](inputs& i) { i.options.seed = 1; },
      [](inputs& i) { i.options.sampling.max_tokens = 7; },
      [](inputs& i) { std::swap(i.examples[0], i.examples[1]); },
      [](inputs& i) { i.examples[0].answer = "x"; },
      [](inputs& i) { i.examples[0].choices = {"a", "b"}; },
      [](inputs& i) { i.reward = "numeric"; },
      [](inputs& i) { i.form = prompt_form::chat; },
  };
  std::set<std::string> keys{inputs{}.key()};
  for (const auto& change : changes) {
    inputs i;
    change(i);
    EXPECT_TRUE(keys.insert(i.key()).second);
  }
  EXPECT_EQ(keys.size(), changes.size() + 1);
}

}  // namespace
}  // namespace t2
