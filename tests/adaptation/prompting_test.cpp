#include "adaptation/prompting.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "adaptation/label_classifier.hpp"
#include "adaptation/reward.hpp"
#include "adaptation/rollout_round.hpp"
#include "tests/adaptation/engine_driver.hpp"
#include "tests/adaptation/stories_model.hpp"
#include "tests/model/chain_model.hpp"

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
    EXPECT_EQ(*model.text()->decode(row->tokens, true), prompt + answer);
  }
}

// --- the seam of prompt and answer -------------------------------------------

using ids = std::vector<token_id>;
using links = std::vector<std::pair<token_id, token_id>>;

/// A model with this tokenizer; what it says is no matter.
std::shared_ptr<language_model> model_with(const std::string& words) {
  static std::map<std::string, std::shared_ptr<language_model>> known;
  auto& model = known[words];
  if (!model)
    model = chain_model(scratch_folder() / ("chain-" + words),
                        tests::assets() / words, {});
  return model;
}

example asked(const std::string& prompt, const std::string& answer) {
  return {.id = "e", .prompt = prompt, .answer = answer};
}

example asked_in_a_chat(const std::string& words, const std::string& answer) {
  return {.id = "e", .messages = {chat_message{"user", words}}, .answer = answer};
}

ids answer_of(const scoring_row& row) {
  return {row.tokens.begin() + static_cast<std::ptrdiff_t>(row.answer_begin),
          row.tokens.end()};
}

TEST(prompting, rows_are_those_that_transformers_makes) {
  std::ifstream in(tests::assets() / "seam_golden.json");
  int chats = 0, across = 0;
  for (const auto& golden : nlohmann::json::parse(in)) {
    SCOPED_TRACE(golden.dump());
    const auto model = model_with(golden["tokenizer"]);
    example e = asked(golden.value("prompt", ""), golden["answer"]);
    for (const auto& turn : golden.value("messages", nlohmann::json::array()))
      e.messages.push_back({turn["role"], turn["content"]});
    chats += e.messages.empty() ? 0 : 1;
    const auto row = scoring_row_of(*model, e, false);
    ASSERT_TRUE(row) << row.error().message;
    const auto prompt = golden["prompt_ids"].get<ids>();
    EXPECT_EQ(ids(row->tokens.begin(),
                  row->tokens.begin() +
                      static_cast<std::ptrdiff_t>(row->answer_begin)),
              prompt);
    if (!golden["answer_ids"].is_null()) {
      EXPECT_EQ(answer_of(*row), golden["answer_ids"].get<ids>());
      continue;
    }
    ++across;
    EXPECT_EQ(*model->text()->decode(row->tokens, true),
              *model->text()->decode(prompt, true) + e.answer);
  }
  EXPECT_GT(chats, 8);
  EXPECT_GT(across, 5);
}

TEST(prompting, a_row_s_answer_says_the_reference_and_no_more) {
  for (const std::string words :
       {"mistral-tokenizer", "smollm2", "stories260k-hf"})
    for (const std::string prompt :
         {"The capital of France is", "The capital of France is ", "the ca",
          "Q: 2?\nA:", "Q: 2?\nA: ", "def f():\n", "\n\n", "x =\t"})
      for (const std::string answer :
           {"Paris", " Paris.", "  two", "t sat", "\n", "\n\nab", "4", " 4",
            "\u00e9\u00e9 \U0001f355", "    return 1\n"}) {
        SCOPED_TRACE(words + " '" + prompt + "' '" + answer + "'");
        const auto model = model_with(words);
        const auto row = scoring_row_of(*model, asked(prompt, answer), false);
        ASSERT_TRUE(row) << row.error().message;
        const auto alone = *prompt_tokens(*model, prompt, {});
        EXPECT_EQ(*model->text()->decode(row->tokens, true),
                  *model->text()->decode(alone, true) + answer);
        // The same where the prompt comes as ids.
        const auto by_ids = scoring_row_of(
            *model, *question_of(*model, alone), answer, false);
        ASSERT_TRUE(by_ids) << by_ids.error().message;
        EXPECT_EQ(by_ids->tokens, row->tokens);
        EXPECT_EQ(by_ids->answer_begin, row->answer_begin);
      }
}

// What Mistral's template writes between [/INST] and the assistant's words.
TEST(prompting, a_chat_s_reference_is_said_behind_the_template_s_space) {
  const auto mistral = model_with("mistral-tokenizer");
  const ids paris{*mistral->text()->token_to_id("\u2581Paris")};
  for (const char* answer : {"Paris", " Paris"})
    EXPECT_EQ(answer_of(*scoring_row_of(
                  *mistral, asked_in_a_chat("Of France?", answer), false)),
              paris);
  const auto smol = model_with("smollm2");
  EXPECT_EQ(answer_of(*scoring_row_of(
                *smol, asked_in_a_chat("Of France?", "Paris"), false)),
            ids{*smol->text()->token_to_id("Paris")});
}

std::string lead_of(const std::string& jinja) {
  const auto folder = scratch_folder() / "lead";
  std::filesystem::create_directories(folder);
  std::ofstream{folder / "chat_template.jinja"} << jinja;
  const auto chat = chat_template::load(folder);
  EXPECT_TRUE(chat && *chat);
  const chat_message turn{"user", "hi"};
  const auto now = chat_template::clock::now();
  const auto opened = (*chat)->render({&turn, 1}, true, now);
  EXPECT_TRUE(opened) << opened.error().message;
  return answer_lead(**chat, {&turn, 1}, *opened, now);
}

TEST(prompting, a_lead_is_white_space_of_the_template) {
  const std::string turn =
      "{% for m in messages %}<|{{ m.role }}|>{{ lead }}{{ m.content }}</s>"
      "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
  EXPECT_EQ(lead_of("{% set lead = '\n' %}" + turn), "\n");
  EXPECT_EQ(lead_of("{% set lead = '' %}" + turn), "");
  // Words that the model has to find itself are none.
  EXPECT_EQ(lead_of("{% set lead = '<think></think>\n' %}" + turn), "");
  // A conversation that goes on in another way, or must not end like this.
  EXPECT_EQ(lead_of("{{ messages | length }} " + turn), "");
  EXPECT_EQ(lead_of("{% if messages[-1].role == 'assistant' %}"
                    "{{ raise_exception('no') }}{% endif %}" + turn),
            "");
}

/// Greedy answer of a model, and the log-probability of its tokens.
struct said {
  std::string text;
  ids tokens;
  double log_probability = 0;
};

said greedy(engine& on, const ids& prompt, std::int32_t most) {
  said out;
  generation_request request;
  request.prompt = prompt;
  request.sampling.max_tokens = most;
  bool ended = false;
  request.on_event = [&](const generation_event& event) {
    out.text += event.text;
    for (const auto& token : event.tokens) {
      out.tokens.push_back(token.token);
      out.log_probability += token.log_probability;
    }
    ended = event.finished || event.failure;
  };
  EXPECT_TRUE(on.submit(std::move(request)));
  while (!ended && on.step()) {
  }
  return out;
}

TEST(prompting, what_a_model_says_is_what_is_scored_of_it) {
  const auto id = [](const std::string& words, const char* name) {
    const auto found = model_with(words)->text()->token_to_id(name);
    EXPECT_TRUE(found) << name;
    return found.value_or(0);
  };
  const auto m = [&](const char* name) { return id("mistral-tokenizer", name); };
  const auto s = [&](const char* name) { return id("smollm2", name); };
  const auto mistral = chain_model(
      scratch_folder() / "mistral-says", tests::assets() / "mistral-tokenizer",
      {{m("\u2581is"), m("\u2581Paris")}, {m("\u2581Paris"), m(".")},
       {m("."), 2}, {m("\u2581"), m("Par")}, {m("Par"), m("is")},
       {m("is"), m(".")}, {m("<0x0A>"), m("\u2581\u2581\u2581")},
       {m("\u2581\u2581\u2581"), m("\u2581return")},
       {m("\u2581return"), 2}, {m("[/INST]"), m("\u2581yes")},
       {m("\u2581yes"), 2}, {m("\u2581ca"), m("t")},
       {m("t"), m("\u2581sat")}, {m("\u2581sat"), 2}});
  const auto smol = chain_model(
      scratch_folder() / "smol-says", tests::assets() / "smollm2",
      {{s("\u0120is"), s("\u0120Paris")}, {s("\u0120Paris"), s(".")},
       {s("."), 2}, {s("\u0120"), s("Paris")}, {s("Paris"), s(".")},
       {s("\u010a"), s("yes")}, {s("yes"), 2}});
  struct expected {
    std::shared_ptr<language_model> model;
    example e;
  };
  const expected all[] = {
      {mistral, asked("The capital of France is", " Paris.")},
      {mistral, asked("The capital of France is ", "Paris.")},
      {mistral, asked("def f():\n", "    return")},
      {mistral, asked("the ca", "t sat")},
      {mistral, asked_in_a_chat("Is it?", "yes")},
      {mistral, asked_in_a_chat("Is it?", " yes")},
      {smol, asked("The capital of France is", " Paris.")},
      {smol, asked("The capital of France is ", "Paris.")},
      {smol, asked("Is it?\n", "yes")},
      {smol, asked_in_a_chat("Is it?", "yes")}};
  for (const auto& [model, e] : all) {
    SCOPED_TRACE(model->name() + " '" + e.prompt + "' '" + e.answer + "'");
    engine on(model, {.kv_bytes = 64 << 20});
    const auto row = scoring_row_of(*model, e, false);
    ASSERT_TRUE(row) << row.error().message;
    const auto answer =
        greedy(on, *prompt_tokens(*model, e.prompt, e.messages), 12);
    const bool chat_space = model == mistral && e.messages.size() == 1;
    EXPECT_EQ(answer.text, chat_space ? " yes" : e.answer);
    EXPECT_EQ(answer_of(*row), answer.tokens);
    EXPECT_NEAR(score_all(on, {*row})[0].sum(), answer.log_probability, 1e-3);
  }
}

TEST(prompting, a_rollout_is_judged_by_what_it_says_behind_its_prompt) {
  const auto words = model_with("mistral-tokenizer")->text();
  const auto model = chain_model(
      scratch_folder() / "mistral-rolls", tests::assets() / "mistral-tokenizer",
      {{*words->token_to_id("\u2581is"), *words->token_to_id("\u2581Paris")},
       {*words->token_to_id("\u2581Paris"), 2}});
  question asks{.source = asked("It is", " Paris"),
                .prompt = *prompt_tokens(*model, "It is", {}),
                .judge = *make_reward("regex")};
  asks.source.pattern = "^ Paris$";
  auto round = rollout_round::make(*model, {&asks},
                                   {.temperature = 0, .max_tokens = 4}, 0);
  ASSERT_TRUE(round) << round.error().message;
  for (;;) {
    const auto more = round->advance(*model, nullptr);
    ASSERT_TRUE(more) << more.error().message;
    if (!*more) break;
  }
  EXPECT_EQ(round->rewards(), std::vector<double>{1});
}

TEST(prompting, a_story_that_the_model_tells_is_scored_as_it_was_told) {
  const auto model = stories_model();
  engine on(model, {.kv_bytes = 64 << 20});
  for (const char* prompt : {"Once upon a time", "Once upon a time, ", "",
                             "She said:\n", "The cat sat. The do"}) {
    const auto tokens = *prompt_tokens(*model, prompt, {});
    const auto told = greedy(on, tokens, 12);
    const auto row = scoring_row_of(*model, asked(prompt, told.text), false);
    ASSERT_TRUE(row);
    EXPECT_EQ(answer_of(*row), told.tokens) << prompt << "|" << told.text;
    EXPECT_NEAR(score_all(on, {*row})[0].sum(), told.log_probability, 1e-3);
  }
}

TEST(prompting, a_label_follows_its_question_as_a_model_would_say_it) {
  const query question{.prompt = "Write a program."};
  for (const std::string words :
       {"mistral-tokenizer", "smollm2", "stories260k-hf"}) {
    const auto model = model_with(words);
    const auto pass_1 =
        label_classifier::make(model, {{"code", ""}, {"math", ""}});
    ASSERT_TRUE(pass_1) << pass_1.error().message;
    const auto rows = pass_1->rows(question);
    ASSERT_TRUE(rows);
    const auto alone =
        *model->text()->decode(*pass_1->prompt(question), true);
    // A space follows "Class:" and [/INST]; ChatML opens the answer's line.
    const std::string lead = words == "smollm2" ? "" : " ";
    for (std::size_t i = 0; i < rows->rows.size(); ++i)
      EXPECT_EQ(*model->text()->decode(rows->rows[i].tokens, true),
                alone + lead + pass_1->labels()[i].name);
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
