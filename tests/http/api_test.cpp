#include "http/api.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "http/http_client.hpp"
#include "http/server.hpp"
#include "tests/http/raw_peer.hpp"
#include "tests/http/temporary_folder.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

using nlohmann::json;
using test::temporary_folder;

/// The actors with a real, small model, behind a server. One for all tests:
/// they leave nothing behind that another would notice.
class served_model {
 public:
  served_model() {
    runtime_options options;
    options.model.path = tests::assets() / "stories260k-hf";
    options.model.svd_cache = (folder_ / "svd").string();
    options.engine.threads = 1;
    options.engine.kv_bytes = 64 * mebibyte;
    options.engine.dense_bytes = 16 * mebibyte;
    options.engine.max_context = 512;
    options.store.path = (folder_ / "store.db").string();
    auto started = client::start(options, "");
    if (!started) {
      ADD_FAILURE() << started.error().message;
      return;
    }
    actors_ = *std::move(started);
    const auto metrics = std::make_shared<serving_metrics>();
    auto listening = server::start(folder_ / "socket",
                                   make_api(*actors_, {.metrics = metrics}), {},
                                   {}, metrics);
    if (listening) server_ = *std::move(listening);
    wait_until_ready();
  }
  ~served_model() {
    if (server_) server_->drain();
    if (actors_) actors_->stop(std::chrono::milliseconds(0));
    server_.reset();
  }

  std::filesystem::path socket() const { return folder_ / "socket"; }
  http_client http() const { return http_client({.socket = socket()}); }

  json health() const {
    const auto reply = http().request("GET", "/health");
    return reply ? json::parse(reply->body, nullptr, false) : json();
  }

  /// Asks /health until `expected` holds; false after a minute.
  bool eventually(const std::function<bool(const json&)>& expected) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < end) {
      if (expected(health())) return true;
      ::poll(nullptr, 0, 2);
    }
    return false;
  }

 private:
  void wait_until_ready() {
    EXPECT_TRUE(eventually([](const json& h) {
      return h.is_object() && h.value("ready", false);
    })) << health();
  }

  temporary_folder folder_;
  std::unique_ptr<client> actors_;
  std::unique_ptr<server> server_;
};

class api : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = std::make_unique<served_model>(); }
  static void TearDownTestSuite() { model_.reset(); }

  struct answer {
    int status = 0;
    json body;
  };
  static answer ask(const std::string& method, const std::string& target,
                    const std::string& body = {}) {
    const auto reply = model_->http().request(method, target, body);
    if (!reply) {
      ADD_FAILURE() << reply.error().message;
      return {};
    }
    return {reply->status, json::parse(reply->body, nullptr, false)};
  }
  static answer complete(const json& body) {
    return ask("POST", "/v1/completions", body.dump());
  }
  static std::string code_of(const answer& failed) {
    return failed.body.at("error").at("code");
  }

  static std::unique_ptr<served_model> model_;
};

std::unique_ptr<served_model> api::model_;

TEST_F(api, health_says_what_is_served) {
  const auto reply = ask("GET", "/health");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body.at("state"), "ready");
  EXPECT_EQ(reply.body.at("model"), "stories260k-hf");
  EXPECT_EQ(reply.body.at("fingerprint").get<std::string>().size(), 64u);
}

TEST_F(api, is_ready_once_it_is_loaded) {
  const auto reply = ask("GET", "/ready");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body.at("state"), "ready");
}

TEST_F(api, embeddings_are_refused_clearly) {
  const auto reply = ask("POST", "/v1/embeddings", R"({"input":"x"})");
  EXPECT_EQ(reply.status, 400);
  const std::string message = reply.body.at("error").at("message");
  EXPECT_NE(message.find("generation models only"), std::string::npos);
}

TEST_F(api, metrics_count_what_was_answered) {
  const auto value = [](const std::string& name) {
    const auto reply = model_->http().request("GET", "/metrics");
    EXPECT_TRUE(reply && reply->content_type.starts_with("text/plain"));
    const std::string text = "\n" + reply->body;
    const auto at = text.find("\n" + name + " ");
    if (at == std::string::npos) {
      ADD_FAILURE() << name << " in" << text;
      return 0.0;
    }
    return std::stod(text.substr(at + name.size() + 2));
  };
  const std::string requests =
      "t2_http_requests_total{method=\"POST\",path=\"/v1/completions\","
      "status=\"200\"}";
  ASSERT_EQ(complete({{"model", "base"}, {"prompt", "A"}, {"max_tokens", 8}})
                .status,
            200);
  const double first = value("t2_time_to_first_token_seconds_count");
  const double between = value("t2_inter_token_seconds_count");
  const double asked = value(requests);
  const double decoded = value("t2_engine_tokens_total{purpose=\"decode\"}");
  for (const bool stream : {false, true}) {
    const auto reply = model_->http().request(
        "POST", "/v1/completions",
        json{{"model", "base"},
             {"prompt", "Once upon a time"},
             {"max_tokens", 8},
             {"ignore_eos", true},
             {"stream", stream}}
            .dump());
    ASSERT_TRUE(reply);
  }
  EXPECT_EQ(value("t2_time_to_first_token_seconds_count"), first + 2);
  EXPECT_EQ(value("t2_inter_token_seconds_count"), between + 14);
  EXPECT_EQ(value(requests), asked + 2);
  EXPECT_GE(value("t2_engine_tokens_total{purpose=\"decode\"}"), decoded + 14);
  EXPECT_EQ(value("t2_ready"), 1);
  EXPECT_EQ(value("t2_queries_running"), 0);
  EXPECT_GT(value("t2_engine_steps_total"), 0);
  EXPECT_GT(value("process_resident_memory_bytes"), 1e7);
  value("t2_engine_plan_steps_total{plan=\"base\"}");
  // Every step has a sequence.
  EXPECT_GE(value("t2_engine_step_sequences_sum"),
            value("t2_engine_step_sequences_count"));
  value("t2_kv_cache_used_bytes");
  value("t2_kv_cache_kept_bytes");
}

TEST_F(api, models_are_base_and_auto_and_what_was_registered) {
  const json task = {{"name", "listed"},
                     {"reward", "logprob"},
                     {"examples", {{{"prompt", "a"}, {"answer", "b"}}}}};
  ASSERT_EQ(ask("POST", "/v1/tasks", task.dump()).status, 201);
  const auto models = ask("GET", "/v1/models").body.at("data");
  std::vector<std::string> ids;
  for (const auto& one : models) ids.push_back(one.at("id"));
  EXPECT_EQ(ids, (std::vector<std::string>{"auto", "base", "listed"}));
  EXPECT_EQ(models.at(2).at("parent"), "base");
  EXPECT_GT(models.at(2).at("created"), 1'600'000'000);
  EXPECT_EQ(ask("GET", "/v1/models/listed").body, models.at(2));
  EXPECT_EQ(ask("DELETE", "/v1/tasks/listed").status, 200);
  EXPECT_EQ(ask("DELETE", "/v1/tasks/listed").status, 404);
}

TEST_F(api, a_task_comes_back_as_it_was_registered) {
  const json task = {{"name", "kept"},
                     {"reward", "exact"},
                     {"description", "words"},
                     {"options", json::object()},
                     {"examples",
                      {{{"id", "one"}, {"prompt", "p"}, {"answer", "a"}},
                       {{"id", "two"}, {"prompt", "q"}, {"answer", "b"}}}}};
  ASSERT_EQ(ask("POST", "/v1/tasks", task.dump()).status, 201);
  const auto taken = ask("POST", "/v1/tasks", task.dump());
  EXPECT_EQ(taken.status, 409);
  EXPECT_EQ(code_of(taken), "already_exists");
  const auto got = ask("GET", "/v1/tasks/kept").body;
  for (const auto& [name, value] : task.items()) {
    EXPECT_EQ(got.at(name), value) << name;
  }
  EXPECT_EQ(ask("GET", "/v1/tasks/kept/adaptations").body.at("data"),
            json::array());
  EXPECT_EQ(ask("DELETE", "/v1/tasks/kept").status, 200);
}

TEST_F(api, a_stream_says_the_same_as_a_whole_answer) {
  json body = {
      {"model", "base"}, {"prompt", "Once upon a time"}, {"max_tokens", 24}};
  const auto whole = complete(body);
  ASSERT_EQ(whole.status, 200) << whole.body;
  EXPECT_EQ(whole.body.at("t2").at("strategy"), "base");
  EXPECT_EQ(whole.body.at("usage").at("completion_tokens"), 24);
  EXPECT_EQ(whole.body.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_LT(whole.body.at("t2").at("log_probability").get<double>(), 0);

  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  std::string text;
  std::vector<std::string> reasons;
  json usage;
  bool done = false;
  const auto reply = model_->http().stream(
      "POST", "/v1/completions", body.dump(), [&](server_event event) {
        EXPECT_FALSE(done) << "after [DONE]: " << event.data;
        if (event.data == "[DONE]") {
          done = true;
          return true;
        }
        const auto chunk = json::parse(event.data);
        if (chunk.contains("usage")) usage = chunk.at("usage");
        for (const auto& choice : chunk.at("choices")) {
          text += choice.at("text");
          if (choice.at("finish_reason").is_string()) {
            reasons.push_back(choice.at("finish_reason"));
          }
        }
        return true;
      });
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_TRUE(done);
  EXPECT_EQ(text, whole.body.at("choices").at(0).at("text"));
  EXPECT_EQ(reasons, std::vector<std::string>{"length"});
  EXPECT_EQ(usage, whole.body.at("usage"));
}

TEST_F(api, equal_seeds_draw_equal_answers) {
  const auto draw = [](int seed) {
    return complete({{"model", "base"},
                     {"prompt", "The dog"},
                     {"max_tokens", 32},
                     {"temperature", 1.5},
                     {"seed", seed}})
        .body.at("choices")
        .at(0)
        .at("text")
        .get<std::string>();
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST_F(api, an_answer_ends_before_a_stop_text) {
  const std::string all =
      complete({{"model", "base"}, {"prompt", "Once"}, {"max_tokens", 40}})
          .body.at("choices")
          .at(0)
          .at("text");
  const auto at = all.find('.');
  ASSERT_NE(at, std::string::npos) << all;
  const auto stopped = complete({{"model", "base"},
                                 {"prompt", "Once"},
                                 {"max_tokens", 40},
                                 {"stop", "."}});
  EXPECT_EQ(stopped.body.at("choices").at(0).at("text"), all.substr(0, at));
  EXPECT_EQ(stopped.body.at("choices").at(0).at("finish_reason"), "stop");
}

TEST_F(api, errors_have_a_status_and_a_code) {
  const auto expect = [](const answer& got, int status,
                         const std::string& code) {
    EXPECT_EQ(got.status, status) << got.body;
    EXPECT_EQ(code_of(got), code) << got.body;
  };
  expect(ask("GET", "/v1/nothing"), 404, "not_found");
  expect(ask("PUT", "/v1/tasks"), 405, "invalid_argument");
  expect(ask("GET", "/v1/tasks/nothing"), 404, "not_found");
  expect(ask("GET", "/v1/experts/nothing"), 404, "not_found");
  expect(ask("GET", "/v1/experts/x?version=one"), 400, "invalid_argument");
  expect(ask("GET", "/v1/audit?last=0"), 400, "invalid_argument");
  expect(ask("POST", "/v1/tasks/nothing/adapt", "{}"), 404, "not_found");
  expect(ask("POST", "/v1/completions", "{\"prompt\":"), 400,
         "invalid_argument");
  expect(complete({{"prompt", "x"}, {"model", "nothing"}}), 404,
         "model_not_found");
  expect(complete({{"prompt", "x"}, {"model", "expert:nothing"}}), 404,
         "model_not_found");
  expect(ask("GET", "/v1/models/expert:nothing@2"), 404, "model_not_found");
  expect(ask("GET", "/v1/experts/nothing/heatmap"), 404, "not_found");
  expect(ask("GET", "/v1/jobs/nothing"), 404, "not_found");
  expect(ask("POST", "/v1/jobs/nothing/cancel"), 404, "not_found");
  expect(complete({{"prompt", "x"},
                   {"model", "base"},
                   {"logit_bias", {{"512", 1}}}}),
         400, "invalid_argument");
  expect(complete({{"prompt", "x"}, {"max_token", 3}}), 400,
         "invalid_argument");
  expect(ask("POST", "/v1/store/backup", R"({"path":"relative"})"), 400,
         "invalid_argument");
  // This model has no chat template.
  expect(ask("POST", "/v1/chat/completions",
             R"({"messages":[{"role":"user","content":"x"}],"model":"base"})"),
         400, "invalid_argument");
}

/// A job once it has ended; null after a minute.
json ended_job(const http_client& http, const std::string& id) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (std::chrono::steady_clock::now() < end) {
    const auto reply = http.request("GET", "/v1/jobs/" + id);
    if (!reply) break;
    const auto job = json::parse(reply->body);
    if (!job.at("finished").is_null()) return job;
    ::poll(nullptr, 0, 5);
  }
  ADD_FAILURE() << id << " does not end";
  return {};
}

TEST_F(api, a_training_and_an_adaptation_go_on_in_the_background) {
  const json training = {{"background", true},
                         {"data", "Hello, said the bird.\n\nYes, said Tom."},
                         {"format", "text"},
                         {"targets", "attention"},
                         {"validation", 0},
                         {"batch", 1},
                         {"max_tokens", 16},
                         {"steps", 3}};
  const auto begun =
      ask("POST", "/v1/experts/grown/train", training.dump());
  ASSERT_EQ(begun.status, 202) << begun.body;
  EXPECT_EQ(begun.body.at("object"), "job");
  EXPECT_EQ(begun.body.at("kind"), "training");
  const auto trained = ended_job(model_->http(), begun.body.at("id"));
  ASSERT_EQ(trained.at("status"), "succeeded") << trained;
  EXPECT_EQ(trained.at("result").at("expert"), "grown");
  EXPECT_GE(trained.at("curve").size(), 1u);
  EXPECT_EQ(trained.at("progress"), trained.at("curve").back());

  const auto map = ask("GET", "/v1/experts/grown@1/heatmap").body;
  EXPECT_EQ(map.at("version"), 1);
  ASSERT_EQ(map.at("data").size(), 5u * 4u);  // layers, projections
  double distance = 0;
  for (const auto& row : map.at("data")) {
    EXPECT_LE(row.at("min"), row.at("mean"));
    EXPECT_LE(row.at("mean"), row.at("max"));
    EXPECT_EQ(row.at("distance").size(), 32u);
    for (const auto& bucket : row.at("distance"))
      distance += bucket.get<double>();
  }
  EXPECT_GT(distance, 0);
  EXPECT_EQ(map.at("data").at(1).at("projection"), "k");
  EXPECT_EQ(ask("GET", "/v1/models/expert:grown@1").body.at("parent"), "base");

  const json task = {{"name", "later"},
                     {"reward", "logprob"},
                     {"examples",
                      {{{"prompt", "Once"}, {"answer", " upon"}},
                       {{"prompt", "The"}, {"answer", " dog"}}}}};
  ASSERT_EQ(ask("POST", "/v1/tasks", task.dump()).status, 201);
  EXPECT_EQ(ask("GET", "/v1/tasks/later").body.at("state"), "none");
  const auto search = ask(
      "POST", "/v1/tasks/later/adapt",
      R"({"background":true,"population":4,"iterations":2,"survivors":1})");
  ASSERT_EQ(search.status, 202) << search.body;
  const auto adapted = ended_job(model_->http(), search.body.at("id"));
  ASSERT_EQ(adapted.at("status"), "succeeded") << adapted;
  const auto shown = ask("GET", "/v1/tasks/later").body;
  EXPECT_EQ(shown.at("state"),
            adapted.at("result").at("accepted") == true ? "adapted"
                                                        : "refused");
  EXPECT_EQ(shown.at("adaptation").at("key"), adapted.at("result").at("key"));
  EXPECT_EQ(ask("GET", "/v1/jobs").body.at("data").at(0).at("id"),
            adapted.at("id"));
  // One whose stream somebody follows is a job too.
  const auto followed =
      ask("POST", "/v1/tasks/later/adapt",
          R"({"force":true,"population":4,"iterations":2,"survivors":1})");
  ASSERT_EQ(followed.status, 200);
  const auto newest = ask("GET", "/v1/jobs").body.at("data").at(0);
  EXPECT_NE(newest.at("id"), adapted.at("id"));
  EXPECT_EQ(newest.at("subject"), "later");
  EXPECT_EQ(newest.at("status"), "succeeded");
  EXPECT_EQ(ask("DELETE", "/v1/tasks/later").status, 200);
}

TEST_F(api, a_job_that_is_cancelled_ends_so) {
  const json training = {{"background", true},
                         {"data", "Hello, said the bird.\n\nYes, said Tom."},
                         {"format", "text"},
                         {"validation", 0},
                         {"steps", 1'000'000}};
  const auto begun = ask("POST", "/v1/experts/never/train", training.dump());
  ASSERT_EQ(begun.status, 202) << begun.body;
  const std::string id = begun.body.at("id");
  EXPECT_EQ(ask("POST", "/v1/jobs/" + id + "/cancel").status, 200);
  const auto job = ended_job(model_->http(), id);
  EXPECT_EQ(job.at("status"), "cancelled") << job;
  EXPECT_EQ(ask("GET", "/v1/experts/never").status, 404);
}

TEST_F(api, choices_are_drawn_apart_and_counted_together) {
  json body = {{"model", "base"}, {"prompt", {"Once", "The dog"}},
               {"n", 2},          {"max_tokens", 16},
               {"temperature", 1}, {"seed", 4},
               {"logprobs", 2},   {"ignore_eos", true}};
  const auto all = complete(body);
  ASSERT_EQ(all.status, 200) << all.body;
  const auto choices = all.body.at("choices");
  ASSERT_EQ(choices.size(), 4u);
  EXPECT_NE(choices.at(0).at("text"), choices.at(1).at("text"));
  EXPECT_EQ(all.body.at("usage").at("completion_tokens"), 64);
  for (const auto& choice : choices) {
    const auto& told = choice.at("logprobs");
    EXPECT_EQ(told.at("tokens").size(), 16u);
    double sum = 0;
    for (const auto& p : told.at("token_logprobs")) sum += p.get<double>();
    EXPECT_NEAR(sum, choice.at("t2").at("log_probability").get<double>(), 1e-4);
  }
  // Greedily they are all the same.
  body["temperature"] = 0;
  const auto greedy = complete(body).body.at("choices");
  EXPECT_EQ(greedy.at(0).at("text"), greedy.at(1).at("text"));
}

TEST_F(api, an_evaluation_is_kept_unless_its_prompts_were_seen) {
  EXPECT_TRUE(ask("GET", "/v1/seen?model=base").body.at("data").empty());
  EXPECT_EQ(ask("GET", "/v1/seen?model=expert:nobody").status, 404);
  json measured{{"model", "base"},
                {"dataset", "test.jsonl"},
                {"data_sha256", std::string(64, 'd')},
                {"prompts", "00000000000000aa00000000000000bb"},
                {"scores", {{"accuracy", 0.5}}}};
  const auto kept = ask("POST", "/v1/evaluations", measured.dump());
  EXPECT_EQ(kept.status, 201) << kept.body;
  EXPECT_EQ(kept.body.at("scores"),
            (json{{"accuracy", 0.5}, {"target", "base"}}));
  EXPECT_EQ(ask("GET", "/v1/evaluations").body.at("data").size(), 1u);
  measured["prompts"] = "not hashes";
  EXPECT_EQ(ask("POST", "/v1/evaluations", measured.dump()).status, 400);
  measured.erase("prompts");
  EXPECT_EQ(ask("POST", "/v1/evaluations", measured.dump()).status, 400);
}

TEST_F(api, a_file_that_is_no_expert_is_refused) {
  const auto reply = ask("PUT", "/v1/experts/bad/file", "hello");
  EXPECT_GE(reply.status, 400);
  EXPECT_EQ(code_of(reply), "corrupt") << reply.body;
  EXPECT_EQ(ask("GET", "/v1/experts/bad").status, 404);
}

TEST_F(api, a_peer_that_leaves_ends_its_query) {
  {
    test::raw_peer peer(model_->socket());
    const std::string body =
        R"({"model":"base","prompt":"Once","max_tokens":490,)"
        R"("ignore_eos":true,"stream":true})";
    peer.say("POST /v1/completions HTTP/1.1\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n" + body);
    peer.hear_until("data: ");
  }
  EXPECT_TRUE(model_->eventually(
      [](const json& health) { return health.value("running", 1) == 0; }));
}

TEST_F(api, a_deadline_is_kept) {
  const auto late = complete({{"model", "base"},
                              {"prompt", "Once"},
                              {"max_tokens", 490},
                              {"ignore_eos", true},
                              {"deadline_seconds", 0.001}});
  // Too late altogether, or cut: never the whole answer.
  if (late.status == 200) {
    EXPECT_EQ(late.body.at("choices").at(0).at("finish_reason"), "deadline");
  } else {
    EXPECT_EQ(late.status, 504) << late.body;
  }
}

TEST_F(api, the_log_tells_what_was_changed) {
  const json task = {{"name", "logged"},
                     {"examples", {{{"prompt", "a"}, {"answer", "b"}}}}};
  ASSERT_EQ(ask("POST", "/v1/tasks", task.dump()).status, 201);
  const auto log = ask("GET", "/v1/audit?last=1").body.at("data");
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log.at(0).at("subject"), "logged");
  EXPECT_EQ(ask("DELETE", "/v1/tasks/logged").status, 200);
  const auto check = ask("GET", "/v1/store/check").body;
  EXPECT_TRUE(check.at("ok").get<bool>()) << check;
}

}  // namespace
}  // namespace t2
