#include "http/json_forms.hpp"

#include <gtest/gtest.h>

#include <cmath>
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
  const query& question = got.question;
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
  EXPECT_EQ(got.question.prompt, "Once");
  EXPECT_EQ(got.question.target, "auto");
  EXPECT_TRUE(got.question.messages.empty());
  EXPECT_FALSE(got.stream);
}

TEST(completion_form, refuses_nonsense_by_name) {
  EXPECT_EQ(chat_error(R"("temprature":1)"),
            "body: unknown member 'temprature', did you mean 'temperature'?");
  EXPECT_EQ(chat_error(R"("temperature":-1)"),
            "body.temperature: expected a number from 0 to 100, found -1");
  EXPECT_EQ(chat_error(R"("n":2)"), "body.n: expected 1, found 2");
  EXPECT_EQ(chat_error(R"("max_tokens":0)").substr(0, 16), "body.max_tokens:");
  EXPECT_EQ(chat_error(R"("stop":["a",""])"),
            "body.stop: expected texts that are not empty, found a list");
  EXPECT_EQ(chat_error(R"("stream_options":{"usage":true})"),
            "body.stream_options: unknown member 'usage', did you mean "
            "'include_usage'?");
  EXPECT_EQ(chat_error(R"("model":7)"), "body.model: expected a text, found 7");
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
            "body.messages[0].role: expected one of system, user, assistant, "
            "tool, found \"king\"");
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

TEST(completion_form, an_answer_has_openais_shape) {
  const completion_head head{completion_kind::chat, "chatcmpl-1", 99, "sums"};
  answer_part whole;
  whole.finish_reason = "stop";
  whole.prompt_tokens = 3;
  whole.answer_tokens = 2;
  whole.log_probability = -1.5;
  routing route;
  route.strategy = "few-shot";
  route.task = "sums";
  route.reason = "adapted";
  route.adaptation_key = "k";
  route.from_cache = true;
  route.mixture = {"delta", {{"lists", 2, {0.5f}}}};
  EXPECT_EQ(
      dump_json(form_of_completion(head, "4", whole, route)),
      R"({"id":"chatcmpl-1","object":"chat.completion","created":99,)"
      R"("model":"sums","choices":[{"index":0,"message":{"role":"assistant",)"
      R"("content":"4"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,)"
      R"("completion_tokens":2,"total_tokens":5},"t2":{"strategy":"few-shot",)"
      R"("task":"sums","label":null,"confidence":null,"reason":"adapted","adaptation":"k",)"
      R"("cached":true,"mixture":{"rule":"delta","components":[{"expert":)"
      R"("lists","version":2,"alpha":[0.5]}]},"log_probability":-1.5}})");
  answer_part part;
  part.text = "4";
  EXPECT_EQ(dump_json(form_of_chunk(head, part, true)),
            R"({"id":"chatcmpl-1","object":"chat.completion.chunk",)"
            R"("created":99,"model":"sums","choices":[{"index":0,"delta":)"
            R"({"role":"assistant","content":"4"},"finish_reason":null}]})");
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
