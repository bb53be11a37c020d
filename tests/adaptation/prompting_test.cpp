#include "adaptation/prompting.hpp"

#include <gtest/gtest.h>

#include "tests/adaptation/stories_model.hpp"

namespace t2 {
namespace {

TEST(prompting, opens_a_bare_prompt_with_the_model_s_special_tokens) {
  const auto& model = *stories_model();
  const auto tokens = prompt_tokens(model, "Once upon a time", {});
  ASSERT_TRUE(tokens) << tokens.error().message;
  EXPECT_EQ(tokens->front(), *model.config().bos_token);
  EXPECT_EQ(*tokens, *model.text()->encode("Once upon a time", true));
  EXPECT_EQ(*prompt_tokens(model, "<s>Once", {}),
            *prompt_tokens(model, "Once", {}));
}

TEST(prompting, an_empty_prompt_is_bos_alone) {
  const auto& model = *stories_model();
  EXPECT_EQ(*prompt_tokens(model, "", {}),
            std::vector{*model.config().bos_token});
}

TEST(prompting, messages_need_a_chat_template) {
  const chat_message question{"user", "hi"};
  const auto tokens = prompt_tokens(*stories_model(), "", {&question, 1});
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().code, ec::invalid_argument);
  EXPECT_NE(tokens.error().message.find("chat template"), std::string::npos);
}

TEST(prompting, a_row_is_prompt_and_answer_as_one_text) {
  const auto& model = *stories_model();
  example e;
  e.prompt = "Once upon a time, there was a";
  e.answer = " little girl.";
  const auto row = scoring_row_of(model, e, false);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->tokens, *model.text()->encode(e.prompt + e.answer, true));
  EXPECT_EQ(row->answer_begin, prompt_tokens(model, e.prompt, {})->size());
  const auto ended = scoring_row_of(model, e, true);
  EXPECT_EQ(ended->tokens.size(), row->tokens.size() + 1);
  EXPECT_EQ(ended->tokens.back(), model.config().eos_tokens.front());
}

// "a" and "bc" read as one word would change the prompt's last token: the
// prompt stays as a question would have it.
TEST(prompting, the_prompt_of_a_row_is_what_a_question_would_be) {
  const auto& model = *stories_model();
  for (const auto& [prompt, answer] :
       std::vector<std::pair<std::string, std::string>>{
           {"Once upon a ti", "me"}, {"the ca", "t sat"}, {"wh", "en"},
           {"", "Once"}}) {
    example e;
    e.prompt = prompt;
    e.answer = answer;
    const auto row = scoring_row_of(model, e, false);
    ASSERT_TRUE(row) << row.error().message;
    const auto asked = prompt_tokens(model, prompt, {});
    const std::vector<token_id> begin(
        row->tokens.begin(),
        row->tokens.begin() + static_cast<std::ptrdiff_t>(row->answer_begin));
    EXPECT_EQ(begin, *asked);
    const auto rest = model.text()->decode(
        std::span{row->tokens}.subspan(row->answer_begin), true);
    EXPECT_NE(rest->find(answer), std::string::npos) << *rest;
  }
}

TEST(prompting, training_rows_are_cut_but_keep_an_answer) {
  const auto& model = *stories_model();
  example e;
  e.id = "long";
  e.prompt = "Once upon a time";
  e.answer = " there was a little girl who liked to play in the park.";
  const auto whole = training_row_of(model, e, 1000);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->weights.size(),
            whole->tokens.size() - whole->answer_begin);
  const auto cut = training_row_of(
      model, e, static_cast<std::int64_t>(whole->answer_begin) + 3);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->weights.size(), 3u);
  const auto none = training_row_of(
      model, e, static_cast<std::int64_t>(whole->answer_begin));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ec::exhausted);
}

}  // namespace
}  // namespace t2
