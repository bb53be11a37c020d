#include "text/chat_template.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "tests/text/fixtures.hpp"
#include "text/tokenizer.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

using nlohmann::json;

std::vector<chat_message> messages_of(const json& conversation) {
  std::vector<chat_message> messages;
  for (const auto& message : conversation)
    messages.push_back({message["role"], message["content"]});
  return messages;
}

std::vector<std::string> names_with_templates() {
  auto names = fixtures::tokenizer_names();
  std::erase(names, "stories260k-hf");
  return names;
}

class every_template : public testing::TestWithParam<std::string> {};

TEST_P(every_template, renders_what_transformers_renders) {
  const auto& golden = fixtures::golden();
  const auto& chat = golden["chat"][GetParam()];
  const auto loaded = chat_template::load(fixtures::folder_of(GetParam()));
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_TRUE(loaded->has_value());
  const auto vocabulary = fixtures::load(GetParam());
  ASSERT_GE(chat["cases"].size(), 12u);
  for (const auto& one : chat["cases"]) {
    SCOPED_TRACE(one.dump());
    const auto messages = messages_of(
        golden["conversations"][one["conversation"].get<std::size_t>()]);
    const auto text =
        (*loaded)->render(messages, one["add_generation_prompt"].get<bool>());
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, one["text"].get<std::string>());
    EXPECT_EQ(*vocabulary->encode(*text, false),
              one["ids"].get<std::vector<token_id>>());
  }
}

INSTANTIATE_TEST_SUITE_P(, every_template,
                         testing::ValuesIn(names_with_templates()),
                         [](const auto& tested) {
                           auto name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

result<std::optional<chat_template>> from_config(const json& config) {
  const fixtures::scratch_folder folder;
  folder.put("tokenizer_config.json", config.dump());
  return chat_template::load(folder.path());
}

/// What `source` makes of one user message, "hi".
std::string rendered(const std::string& source) {
  const auto loaded = from_config({{"chat_template", source},
                                   {"bos_token", "<s>"},
                                   {"eos_token", {{"content", "</s>"}}}});
  if (!loaded) return "error: " + loaded.error().message;
  const std::vector<chat_message> messages = {{"user", "hi"}};
  // 2025-01-06 09:05:03 UTC
  const chat_template::clock::time_point now{std::chrono::seconds(1736154303)};
  const auto text = (*loaded)->render(messages, true, now);
  return text ? *text : "error: " + text.error().message;
}

TEST(chat_template, a_model_may_have_none) {
  const fixtures::scratch_folder folder;
  auto loaded = chat_template::load(folder.path());
  ASSERT_TRUE(loaded);
  EXPECT_FALSE(loaded->has_value());
  loaded = chat_template::load(fixtures::folder_of("stories260k-hf"));
  ASSERT_TRUE(loaded);
  EXPECT_FALSE(loaded->has_value());
}

TEST(chat_template, a_list_gives_its_default) {
  const auto loaded = from_config(
      {{"chat_template",
        {{{"name", "tool_use"}, {"template", "no"}},
         {{"name", "default"}, {"template", "yes"}}}}});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(*(*loaded)->render({}, false), "yes");
  EXPECT_FALSE(from_config(
      {{"chat_template", {{{"name", "tool_use"}, {"template", "no"}}}}}));
}

TEST(chat_template, a_file_goes_before_the_config) {
  const fixtures::scratch_folder folder;
  folder.put("tokenizer_config.json",
             R"({"chat_template": "config", "bos_token": "<s>"})");
  folder.put("chat_template.jinja", "{{ bos_token }}file");
  const auto loaded = chat_template::load(folder.path());
  ASSERT_TRUE(loaded);
  EXPECT_EQ(*(*loaded)->render({}, false), "<s>file");
}

// As Qwen3's templates end.
constexpr const char* thinking =
    "{%- if enable_thinking is defined and enable_thinking is false %}"
    "<think></think>{%- else %}free{% endif %}"
    "{%- if budget is defined %} {{ budget.tokens + 1 }} {{ budget['in'] }}"
    "{% endif %}";

TEST(chat_template, is_told_what_the_caller_sets) {
  auto loaded = from_config({{"chat_template", thinking}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  chat_template& chat = **loaded;
  const auto with = [&](std::string_view variables) {
    const auto text = chat.render({}, true, {}, variables);
    return text ? *text : "error: " + text.error().message;
  };
  EXPECT_EQ(with(""), "free");
  EXPECT_EQ(with("{}"), "free");
  EXPECT_EQ(with(R"({"enable_thinking": false})"), "<think></think>");
  EXPECT_EQ(with(R"({"enable_thinking": null})"), "free");
  EXPECT_EQ(with(R"({"budget": {"tokens": 7, "in": [1, 2.5, "a", true]}})"),
            "free 8 [1, 2.5, 'a', True]");
  ASSERT_TRUE(chat.set_defaults(R"({"enable_thinking": false})"));
  EXPECT_EQ(with(""), "<think></think>");
  EXPECT_EQ(with(R"({"enable_thinking": true})"), "free");
}

TEST(chat_template, refuses_variables_that_it_sets_itself_or_cannot_read) {
  for (const std::string text :
       {"[1]", "1", "{", R"({"messages": []})", R"({"tools": null})",
        R"({"add_generation_prompt": false})"}) {
    const auto checked = check_template_variables(text);
    ASSERT_FALSE(checked) << text;
    EXPECT_EQ(checked.error().code, ec::invalid_argument);
    EXPECT_TRUE(checked.error().message.starts_with("chat_template_kwargs: "))
        << checked.error().message;
  }
  EXPECT_FALSE(check_template_variables("{\"a\": \"" +
                                        std::string(100'000, 'x') + "\"}"));
  std::string deep = "{\"a\": ";
  for (int i = 0; i < 20'000; ++i) deep += '[';
  EXPECT_FALSE(check_template_variables(deep));
  EXPECT_TRUE(check_template_variables(""));
}

TEST(chat_template, refuses_a_conversation_with_the_templates_words) {
  const auto loaded = from_config(
      {{"chat_template", "{{ raise_exception('roles must alternate') }}"}});
  const auto text = (*loaded)->render({}, false);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ec::invalid_argument);
  EXPECT_NE(text.error().message.find("roles must alternate"),
            std::string::npos);
}

TEST(chat_template, a_syntax_error_is_found_on_loading) {
  const auto loaded = from_config({{"chat_template", "{% if %}"}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::corrupt);
}

TEST(chat_template, refuses_messages_that_are_not_utf8) {
  const auto loaded = from_config({{"chat_template", "{{ messages }}"}});
  const std::vector<chat_message> messages = {{"user", "\xff"}};
  const auto text = (*loaded)->render(messages, false);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ec::invalid_argument);
}

/// jinja_samples.json holds templates and what Jinja2 made of them under
/// transformers' settings; make_jinja_samples.py wrote it.
TEST(chat_template, means_what_it_means_in_python) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  std::ifstream in(tests::source_folder() / "tests/text/jinja_samples.json");
  const auto samples = json::parse(in);
  ASSERT_GE(samples.size(), 100u);
  for (const auto& one : samples)
    EXPECT_EQ(rendered(one["source"]), one["text"].get<std::string>())
        << one["source"];
}

/// jinja_arguments.json holds calls with every argument by place and by name,
/// and what Jinja2 makes of them; null where it refuses.
TEST(chat_template, passes_over_no_argument_of_a_call) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  std::ifstream in(tests::source_folder() / "tests/text/jinja_arguments.json");
  const auto samples = json::parse(in);
  ASSERT_GE(samples.size(), 2000u);
  for (const auto& one : samples) {
    const auto found = rendered(one[0]);
    if (one[1].is_null())
      EXPECT_TRUE(found.starts_with("error: ")) << one[0] << ": " << found;
    else
      EXPECT_EQ(found, one[1].get<std::string>()) << one[0];
  }
}

TEST(chat_template, names_what_a_call_cannot_take) {
  EXPECT_EQ(rendered("{{ 'x' | trim(what='y') }}"),
            "error: chat_template: trim: no argument named what");
  EXPECT_EQ(rendered("{{ 'x' | trim(1) }}"),
            "error: chat_template: trim: chars: expected text, found int");
  EXPECT_EQ(rendered("{{ 'x'.strip('a', 'b') }}"),
            "error: chat_template: strip: expected at most 1 arguments, "
            "found 2");
  EXPECT_EQ(rendered("{% macro m(a) %}{% endmacro %}{{ m(b=1) }}"),
            "error: chat_template: m: no argument named b");
  EXPECT_EQ(rendered("{% autoescape true %}{{ '<' }}{% endautoescape %}"),
            "error: chat_template: no support for autoescape");
}

TEST(chat_template, prints_tokens_that_only_the_map_names) {
  const auto text = [](const std::string& config, const std::string& map) {
    const fixtures::scratch_folder folder;
    folder.put("tokenizer_config.json", config);
    folder.put("special_tokens_map.json", map);
    folder.put("chat_template.jinja",
               "{{ bos_token }}|{{ eos_token }}|{{ image_token }}");
    const auto loaded = chat_template::load(folder.path());
    return loaded ? *(*loaded)->render({}, false) : loaded.error().message;
  };
  EXPECT_EQ(text(R"({"eos_token": {"content": "</s>"}})",
                 R"({"bos_token": {"content": "<s>", "lstrip": false}})"),
            "<s>|</s>|");
  // The order of transformers, which tests/text/make_jinja_samples.py has not:
  // the older file decides unless the newer one lists its added tokens.
  EXPECT_EQ(text(R"({"bos_token": "<a>"})", R"({"bos_token": "<b>"})"),
            "<b>||");
  EXPECT_EQ(text(R"({"bos_token": "<a>", "added_tokens_decoder": {}})",
                 R"({"bos_token": "<b>"})"),
            "<a>||");
  EXPECT_EQ(text(R"({"bos_token": null, "add_bos_token": true,
                     "extra_special_tokens": {"image_token": "<i>"}})",
                 "{}"),
            "||<i>");
  EXPECT_NE(text("{}", "[").find("special_tokens_map.json"),
            std::string::npos);
}

}  // namespace
}  // namespace t2
