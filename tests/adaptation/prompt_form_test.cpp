#include "adaptation/prompt_form.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "adaptation/few_shot_search.hpp"
#include "adaptation/logprob_reward.hpp"
#include "adaptation/next_token_objective.hpp"
#include "adaptation/rollout_round.hpp"
#include "adaptation/training_options.hpp"
#include "tests/adaptation/stories_model.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

/// A model that knows nothing, but has a chat template.
const std::shared_ptr<language_model>& talking_model() {
  static const std::shared_ptr<language_model> model =
      []() -> std::shared_ptr<language_model> {
    auto loaded = language_model::load(
        {.folder = tests::assets() / "pretrained-tiny",
         .device = "cpu",
         .dtype = "float32",
         .svd_cache = scratch_folder() / "svd"});
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? *std::move(loaded) : nullptr;
  }();
  return model;
}

// What transformers makes of this question and answer, through the template
// with its generation prompt, and without it.
const std::vector<token_id> chat_prompt{2,   203, 304, 301, 225, 21, 22,  264,
                                        225, 23,  20,  35,  1,   203, 3,  203};
const std::vector<token_id> raw_prompt{304, 301, 225, 21, 22,
                                       264, 225, 23,  20, 35};
const std::vector<token_id> answer{21, 22, 264, 225, 23, 20, 270, 225, 24, 22};

example sum() {
  return {.id = "s", .prompt = "What is 12 + 30?", .answer = "12 + 30 = 42"};
}

std::vector<token_id> joined(std::vector<token_id> a,
                             const std::vector<token_id>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(prompt_form, of_a_search_s_shots_is_that_of_transformers_template) {
  const auto judge = make_reward("logprob");
  ASSERT_TRUE(judge);
  const std::vector<example> examples{sum()};
  for (const auto& [form, prompt] :
       {std::pair{prompt_form::raw, raw_prompt},
        std::pair{prompt_form::chat, chat_prompt}}) {
    const auto shots = make_shots(*talking_model(), examples, **judge, form);
    ASSERT_TRUE(shots) << shots.error().message;
    EXPECT_EQ(shots->front().reference.tokens, joined(prompt, answer));
    EXPECT_EQ(shots->front().reference.answer_begin, prompt.size());
    // Rewards read it as it was given.
    EXPECT_EQ(shots->front().source.prompt, sum().prompt);
    EXPECT_TRUE(shots->front().source.messages.empty());
  }
}

training_spec spec_of(const std::string& form) {
  training_spec spec;
  spec.data = R"({"prompt":"What is 12 + 30?","answer":"12 + 30 = 42"})";
  spec.form = form;
  spec.validation = 0;
  return spec;
}

TEST(prompt_form, of_a_training_is_chat_where_the_model_has_a_template) {
  const token_id end = talking_model()->config().eos_tokens.front();
  for (const std::string form : {"", "chat"}) {
    const auto made =
        make_next_token_objective(*talking_model(), spec_of(form));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE((*made)->chat_prompts());
    // An answer in a conversation ends where its text ends.
    EXPECT_EQ((*made)->training().front().tokens,
              joined(joined(chat_prompt, answer), {end}));
  }
  const auto raw = make_next_token_objective(*talking_model(), spec_of("raw"));
  ASSERT_TRUE(raw) << raw.error().message;
  EXPECT_FALSE((*raw)->chat_prompts());
  EXPECT_EQ((*raw)->training().front().tokens, joined(raw_prompt, answer));
}

TEST(prompt_form, of_sampled_answers_likewise) {
  for (const auto& [form, prompt] : {std::pair{"", chat_prompt},
                                     std::pair{"raw", raw_prompt},
                                     std::pair{"chat", chat_prompt}}) {
    training_spec spec = spec_of(form);
    spec.reward = "exact";
    const auto asked = make_questions(talking_model(), {sum()}, spec, {});
    ASSERT_TRUE(asked) << asked.error().message;
    EXPECT_EQ(asked->front().prompt, prompt) << form;
    EXPECT_EQ(asked->front().chat_prompt, prompt == chat_prompt);
  }
}

TEST(prompt_form, of_a_model_without_a_template_is_raw) {
  training_spec spec = spec_of("");
  const auto made = make_next_token_objective(*stories_model(), spec);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_FALSE((*made)->chat_prompts());
  spec.form = "chat";
  const auto refused = make_next_token_objective(*stories_model(), spec);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("chat template"), std::string::npos);
}

TEST(prompt_form, of_a_training_is_in_its_options_where_it_is_chat) {
  // Checkpoints and experts of before there were forms are raw.
  const training_spec spec = spec_of("raw");
  EXPECT_FALSE(nlohmann::json::parse(canonical_json(spec)).contains("form"));
  EXPECT_EQ(nlohmann::json::parse(canonical_json(spec, true))["form"], "chat");
}

TEST(prompt_form, leaves_text_and_conversations_alone) {
  const example text{.id = "t", .answer = "Once upon a time"};
  EXPECT_TRUE(asked_as(prompt_form::chat, text).messages.empty());
  const example talk{
      .id = "m", .messages = {{"system", "s"}, {"user", "u"}}, .answer = "a"};
  EXPECT_EQ(asked_as(prompt_form::chat, talk).messages.size(), 2u);
}

TEST(prompt_form, of_the_beginning_of_a_program_is_raw) {
  const auto program = [](std::string prompt, std::string reply,
                          std::string name = "add") {
    return example{.id = "p",
                   .prompt = std::move(prompt),
                   .answer = std::move(reply),
                   .entry_point = std::move(name)};
  };
  const std::string opening = "def add(a, b):\n    \"\"\"Adds.\"\"\"\n";
  struct {
    example asked;
    bool raw;
  } const cases[] = {
      {program(opening, "    return a + b\n"), true},
      {program(opening, "def add(a, b):\n    return a + b\n"), false},
      {program("Write add.", "```python\ndef add(a, b):\n  return a + b\n```"),
       false},
      {program("Write add.", "add = lambda a, b: a + b"), false},
      {program(opening, ""), true},
      {program("Write add.", ""), false},
      {program(opening, "    return a + b\n", ""), false},
      {sum(), false},
  };
  for (const auto& [asked, raw] : cases) {
    EXPECT_EQ(completes_a_program(asked), raw) << asked.prompt << asked.answer;
    EXPECT_EQ(default_form(true, asked),
              raw ? prompt_form::raw : prompt_form::chat);
    EXPECT_EQ(default_form(false, asked), prompt_form::raw);
  }
  // Examples of one task are asked alike.
  EXPECT_EQ(default_form(true, std::vector{sum(), cases[0].asked}),
            prompt_form::raw);
}

store_task task_of(std::vector<example> examples, std::string form) {
  store_task task{.name = "t", .form = std::move(form)};
  for (const example& e : examples) task.examples.push_back(to_record(e));
  return task;
}

TEST(prompt_form, of_a_new_task_is_decided_or_checked) {
  const example talk{.id = "m", .messages = {{"user", "u"}}, .answer = "a"};
  struct {
    store_task task;
    bool has_template;
    std::string settled;  // empty: refused
  } const cases[] = {
      {task_of({sum()}, ""), true, "chat"},
      {task_of({sum()}, ""), false, "raw"},
      {task_of({sum()}, "raw"), true, "raw"},
      {task_of({sum()}, "chat"), true, "chat"},
      {task_of({sum()}, "chat"), false, ""},
      {task_of({talk}, ""), true, "chat"},
      {task_of({sum(), talk}, "raw"), true, ""},
      {task_of({sum()}, "loud"), true, ""},
  };
  for (const auto& one : cases) {
    store_task task = one.task;
    const auto settled = settle_form(task, one.has_template);
    EXPECT_EQ(bool(settled), !one.settled.empty());
    if (settled) {
      EXPECT_EQ(task.form, one.settled);
    }
  }
  // A task of before there were forms, of conversations.
  EXPECT_EQ(form_of_queries(task_of({talk}, "raw")), prompt_form::chat);
  EXPECT_EQ(form_of_queries(task_of({talk, sum()}, "raw")), prompt_form::raw);
}

}  // namespace
}  // namespace t2
