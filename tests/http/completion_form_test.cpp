#include "http/completion_form.hpp"

#include <gtest/gtest.h>

#include <string>

namespace t2 {
namespace {

completion_request must_parse(const std::string& body, completion_kind kind) {
  auto request = parse_completion(body, kind);
  EXPECT_TRUE(request) << request.error().message;
  return request ? *request : completion_request();
}

std::string chat_error(const std::string& members) {
  const auto request = parse_completion(
      R"({"messages":[{"role":"user","content":"hi"}],)" + members + "}",
      completion_kind::chat);
  return request ? "" : request.error().message;
}

TEST(completion_form, bounds_the_text_of_all_choices_together) {
  const auto sized = [](std::size_t bytes, const std::string& members) {
    return parse_completion(R"({"prompt":")" + std::string(bytes, 'x') + "\"" +
                                members + "}",
                            completion_kind::text);
  };
  EXPECT_TRUE(sized(1 << 20, R"(,"n":16)"));
  const auto refused = sized((1 << 20) + 1, R"(,"n":16)");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("bytes of text in all choices"),
            std::string::npos);
  EXPECT_FALSE(sized(1 << 19, R"(,"n":16,"reference":")" +
                                  std::string((1 << 19) + 1, 'y') + "\""));
}

TEST(completion_form, reads_a_conversation_as_openai_clients_send_it) {
  const auto got = must_parse(
      R"({"model":"sums","messages":[{"role":"system","content":"Be brief."},
          {"role":"user","content":[{"type":"text","text":"2+"},
                                    {"type":"text","text":"2?"}]}],
          "temperature":0.7,"top_p":0.9,"max_tokens":12,"stop":"\n","seed":3,
          "n":1,"presence_penalty":0,"frequency_penalty":0.0,"user":"u",
          "stream":true,"stream_options":{"include_usage":true},
          "top_k":5,"min_p":0.1,"repetition_penalty":1.1,
          "deadline_seconds":2.5})",
      completion_kind::chat);
  ASSERT_EQ(got.questions.size(), 1u);
  const query& question = got.questions.front();
  EXPECT_EQ(question.target, "sums");
  ASSERT_EQ(question.messages.size(), 2u);
  EXPECT_EQ(question.messages[1], (chat_message{"user", "2+2?"}));
  EXPECT_FLOAT_EQ(question.sampling.temperature, 0.7f);
  EXPECT_FLOAT_EQ(question.sampling.top_p, 0.9f);
  EXPECT_FLOAT_EQ(question.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(question.sampling.repetition_penalty, 1.1f);
  EXPECT_EQ(question.sampling.top_k, 5);
  EXPECT_EQ(question.sampling.max_tokens, 12);
  EXPECT_EQ(question.sampling.seed, 3u);
  EXPECT_EQ(question.sampling.stop, std::vector<std::string>{"\n"});
  EXPECT_EQ(question.deadline_seconds, 2.5);
  EXPECT_TRUE(got.stream);
  EXPECT_TRUE(got.include_usage);
}

TEST(completion_form, reads_a_prompt_and_decides_itself_where_it_goes) {
  const auto got = must_parse(R"({"prompt":"Once"})", completion_kind::text);
  EXPECT_EQ(got.questions.at(0).prompt, "Once");
  EXPECT_EQ(got.questions.at(0).target, "auto");
  EXPECT_TRUE(got.questions.at(0).messages.empty());
  EXPECT_FALSE(got.stream);
}

TEST(completion_form, refuses_nonsense_by_name) {
  EXPECT_EQ(chat_error(R"("temprature":1)"),
            "body: unknown member 'temprature', did you mean 'temperature'?");
  EXPECT_EQ(chat_error(R"("temperature":-1)"),
            "body.temperature: expected a number from 0 to 100, found -1");
  EXPECT_EQ(chat_error(R"("n":17)"),
            "body.n: expected a whole number from 1 to 16, found 17");
  EXPECT_EQ(chat_error(R"("max_tokens":0)").substr(0, 16), "body.max_tokens:");
  EXPECT_EQ(chat_error(R"("stop":["a",""])"),
            "body.stop: expected texts that are not empty, found a list");
  EXPECT_EQ(chat_error(R"("stream_options":{"usage":true})"),
            "body.stream_options: unknown member 'usage', did you mean "
            "'include_usage'?");
  EXPECT_EQ(chat_error(R"("model":7)"), "body.model: expected a text, found 7");
  EXPECT_EQ(chat_error(R"("chat_template_kwargs":[1])"),
            "body.chat_template_kwargs: expected a JSON object, found [1]");
  EXPECT_EQ(chat_error(R"("chat_template_kwargs":{"messages":[]})").substr(0, 27),
            "body.chat_template_kwargs: ");
}

TEST(completion_form, refuses_messages_that_are_none) {
  const auto error_of = [](const std::string& body) {
    const auto request = parse_completion(body, completion_kind::chat);
    return request ? "" : request.error().message;
  };
  EXPECT_EQ(error_of("{}"), "body.messages: expected a value, found none");
  EXPECT_EQ(error_of(""), "body.messages: expected a value, found none");
  EXPECT_EQ(error_of(R"({"messages":[]})"),
            "body.messages: expected a list of messages, found a list");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"king","content":"x"}]})"),
            "body.messages[0].role: expected one of system, developer, user, "
            "assistant, tool, found \"king\"");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"user"}]})"),
            "body.messages[0].content: expected a value, found none");
  EXPECT_EQ(error_of(R"({"messages":[{"role":"user","content":
                        [{"type":"image_url"}]}]})"),
            "body.messages[0].content[0].type: expected one of text, found "
            "\"image_url\"");
}

TEST(completion_form, refuses_hostile_json) {
  for (const std::string& body :
       {std::string("{"), std::string("[]"), std::string("nonsense"),
        std::string(R"({"prompt":"\ud800"})"),
        std::string("{\"prompt\":\"\xff\"}"),
        std::string(R"({"prompt":1e999})"),
        "{\"prompt\":" + std::string(200'000, '[') + "}",
        std::string("{}{}")}) {
    const auto request = parse_completion(body, completion_kind::text);
    ASSERT_FALSE(request) << body.substr(0, 40);
    EXPECT_EQ(request.error().code, ec::invalid_argument)
        << request.error().message;
  }
}

TEST(completion_form, takes_what_official_clients_send) {
  const auto got = must_parse(
      R"({"model":"base","messages":[
            {"role":"developer","content":"Be brief."},
            {"role":"user","content":"hi","name":"u"},
            {"role":"assistant","content":"yes","refusal":null,"audio":null,
             "annotations":[],"function_call":null,"tool_calls":null},
            {"role":"user","content":"again"}],
          "store":false,"metadata":{"a":"b"},"service_tier":"auto",
          "parallel_tool_calls":true,"safety_identifier":"s","tools":[],
          "tool_choice":"none","response_format":{"type":"text"},
          "modalities":["text"],"reasoning_effort":"low","seed":-5,
          "stream_options":{"include_usage":false,"include_obfuscation":true},
          "chat_template_kwargs":{"enable_thinking":false},
          "prompt_cache_key":"k","logit_bias":{"7":-100,"11":2.5},
          "presence_penalty":-2,"frequency_penalty":1.5,"n":3})",
      completion_kind::chat);
  ASSERT_EQ(got.questions.size(), 3u);
  EXPECT_EQ(got.choices_per_prompt, 3u);
  EXPECT_TRUE(got.seeded);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const query& one = got.questions[i];
    EXPECT_EQ(one.stream, i);
    EXPECT_EQ(one.target, "base");
    ASSERT_EQ(one.messages.size(), 4u);
    EXPECT_EQ(one.messages[0], (chat_message{"system", "Be brief."}));
    EXPECT_EQ(one.sampling.seed, static_cast<std::uint64_t>(-5));
    EXPECT_EQ(one.sampling.presence_penalty, -2.f);
    EXPECT_EQ(one.sampling.frequency_penalty, 1.5f);
    EXPECT_EQ(one.sampling.logit_bias,
              (std::vector<std::pair<token_id, float>>{{11, 2.5f}, {7, -100.f}}));
    EXPECT_FALSE(one.report_tokens);
    EXPECT_EQ(one.template_variables, R"({"enable_thinking":false})");
  }
}

TEST(completion_form, refuses_in_one_line_what_t2_has_not) {
  EXPECT_EQ(chat_error(R"("tools":[{"type":"function"}])"),
            "body.tools: tools are not supported");
  EXPECT_EQ(chat_error(R"("tool_choice":"required")"),
            "body.tool_choice: tools are not supported");
  EXPECT_EQ(chat_error(R"("functions":[{"name":"f"}])"),
            "body.functions: functions are not supported");
  EXPECT_EQ(chat_error(R"("response_format":{"type":"json_object"})"),
            "body.response_format: expected {\"type\": \"text\"}");
  EXPECT_EQ(chat_error(R"("modalities":["audio"])"),
            "body.modalities: expected [\"text\"]");
  EXPECT_EQ(chat_error(R"("logit_bias":{"x":1})").substr(0, 16),
            "body.logit_bias:");
  EXPECT_EQ(chat_error(R"("logit_bias":{"1":101})").substr(0, 16),
            "body.logit_bias:");
  EXPECT_EQ(chat_error(R"("presence_penalty":2.1)").substr(0, 22),
            "body.presence_penalty:");
  EXPECT_EQ(chat_error(R"("top_logprobs":2)"),
            "body.top_logprobs: expected logprobs to be true");
  EXPECT_EQ(chat_error(R"("logprobs":true,"top_logprobs":21)").substr(0, 18),
            "body.top_logprobs:");
  const auto text_error = [](const std::string& members) {
    const auto request = parse_completion("{\"prompt\":\"x\"," + members + "}",
                                          completion_kind::text);
    return request ? "" : request.error().message;
  };
  EXPECT_EQ(text_error(R"("suffix":"y")"),
            "body.suffix: text is continued, not filled in");
  EXPECT_EQ(text_error(R"("logprobs":6)"),
            "body.logprobs: expected a whole number from 0 to 5, found 6");
  EXPECT_EQ(text_error(R"("echo":true,"logprobs":1)"),
            "body.echo: expected false with logprobs, found true");
  EXPECT_EQ(text_error(R"("best_of":3)"), "body.best_of: expected 1, found 3");
}

TEST(completion_form, reads_a_prompt_in_each_of_its_four_shapes) {
  const auto prompts = [](const std::string& prompt) {
    return must_parse("{\"n\":2,\"logprobs\":0,\"prompt\":" + prompt + "}",
                      completion_kind::text)
        .questions;
  };
  EXPECT_EQ(prompts("\"a\"").size(), 2u);
  const auto texts = prompts(R"(["a","b"])");
  ASSERT_EQ(texts.size(), 4u);
  EXPECT_EQ(texts[1].prompt, "a");
  EXPECT_EQ(texts[2].prompt, "b");
  EXPECT_EQ(texts[3].stream, 3u);
  EXPECT_TRUE(texts[0].report_tokens);
  const auto ids = prompts("[1,2,3]");
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(ids[0].prompt_ids, (std::vector<token_id>{1, 2, 3}));
  const auto lists = prompts("[[1,2],[3]]");
  ASSERT_EQ(lists.size(), 4u);
  EXPECT_EQ(lists[3].prompt_ids, std::vector<token_id>{3});
  for (const char* bad :
       {"[]", "[[]]", "[-1]", "[1.5]", "[4294967296]", "[1,\"a\"]", "7", "{}",
        "[[1],[\"a\"]]"}) {
    const auto request = parse_completion(
        std::string("{\"prompt\":") + bad + "}", completion_kind::text);
    ASSERT_FALSE(request) << bad;
    EXPECT_EQ(request.error().message.substr(0, 12), "body.prompt:") << bad;
  }
  std::string many = "[\"a\"";
  for (int i = 0; i < 64; ++i) many += ",\"a\"";
  EXPECT_FALSE(parse_completion("{\"n\":2,\"prompt\":" + many + "]}",
                                completion_kind::text));
}

TEST(completion_form, an_answer_has_openais_shape) {
  const completion_head head{.id = "chatcmpl-1",
                             .created = 99,
                             .model = "sums",
                             .fingerprint = "0123456789abcdef"};
  completion_choice whole{.text = "4"};
  whole.last.finish_reason = "stop";
  whole.last.log_probability = -1.5;
  whole.route.strategy = "few-shot";
  whole.route.task = "sums";
  whole.route.reason = "adapted";
  whole.route.adaptation_key = "k";
  whole.route.from_cache = true;
  whole.route.mixture = {"delta", {{"lists", 2, {0.5f}}}};
  EXPECT_EQ(
      dump_json(form_of_completion(head, std::vector{whole}, {3, 2})),
      R"({"id":"chatcmpl-1","object":"chat.completion","created":99,)"
      R"("model":"sums","system_fingerprint":"fp_0123456789","choices":)"
      R"([{"index":0,"message":{"role":"assistant","content":"4",)"
      R"("refusal":null},"logprobs":null,"finish_reason":"stop"}],)"
      R"("usage":{"prompt_tokens":3,)"
      R"("completion_tokens":2,"total_tokens":5},"t2":{"strategy":"few-shot",)"
      R"("task":"sums","form":null,"label":null,"confidence":null,"reason":"adapted","adaptation":"k",)"
      R"("cached":true,"mixture":{"rule":"delta","components":[{"expert":)"
      R"("lists","version":2,"alpha":[0.5]}]},"log_probability":-1.5}})");
  answer_part part;
  part.text = "4";
  EXPECT_EQ(dump_json(form_of_chunk(head, 1, part, true)),
            R"({"id":"chatcmpl-1","object":"chat.completion.chunk",)"
            R"("created":99,"model":"sums","system_fingerprint":)"
            R"("fp_0123456789","choices":[{"index":1,"delta":)"
            R"({"role":"assistant","content":"4"},"logprobs":null,)"
            R"("finish_reason":null}]})");
}

TEST(completion_form, tells_likelihoods_as_openai_does) {
  completion_choice whole{.text = "\xC3\xA9", .report_tokens = true};
  whole.tokens = {{"\xC3", -0.5, {{"a", -0.25}, {"\xC3", -0.5}}, 0},
                  {"\xA9", -20000, {{"\xA9", -20000}}, 0}};
  completion_head head;
  auto chat = form_of_completion(head, std::vector{whole}, {});
  EXPECT_EQ(
      dump_json(chat["choices"][0]["logprobs"]),
      R"({"content":[{"token":"bytes:\\xc3","logprob":-0.5,"bytes":[195],)"
      R"("top_logprobs":[{"token":"a","logprob":-0.25,"bytes":[97]},)"
      R"({"token":"bytes:\\xc3","logprob":-0.5,"bytes":[195]}]},)"
      R"({"token":"bytes:\\xa9","logprob":-9999.0,"bytes":[169],)"
      R"("top_logprobs":[{"token":"bytes:\\xa9","logprob":-9999.0,)"
      R"("bytes":[169]}]}],"refusal":null})");
  head.kind = completion_kind::text;
  auto text = form_of_completion(head, std::vector{whole}, {});
  EXPECT_EQ(dump_json(text["choices"][0]["logprobs"]),
            R"({"tokens":["bytes:\\xc3","bytes:\\xa9"],)"
            R"("token_logprobs":[-0.5,-9999.0],"top_logprobs":)"
            R"([{"a":-0.25,"bytes:\\xc3":-0.5},{"bytes:\\xa9":-9999.0}],)"
            R"("text_offset":[0,0]})");
}

}  // namespace
}  // namespace t2
