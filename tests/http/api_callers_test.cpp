// Two keys on TCP, a real model: one asks for all there is, the other gets its
// answer. Answers are counted, and no time.
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <deque>
#include <nlohmann/json.hpp>

#include "http/api.hpp"
#include "http/http_client.hpp"
#include "http/server.hpp"
#include "tests/http/raw_peer.hpp"
#include "tests/http/temporary_folder.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

using nlohmann::json;
using test::raw_peer;

class api_callers : public testing::Test {
 protected:
  api_callers() {
    runtime_options options;
    options.model.path = tests::assets() / "stories260k-hf";
    options.model.svd_cache = (folder_ / "svd").string();
    options.engine.threads = 1;
    options.engine.kv_bytes = 64 * mebibyte;
    options.engine.max_context = 512;
    options.engine.max_sequences = 16;
    options.server.queue = 2048;
    options.store.path = (folder_ / "store.db").string();
    auto started = client::start(options, "");
    if (!started) {
      ADD_FAILURE() << started.error().message;
      return;
    }
    actors_ = *std::move(started);
    auto ring = key_ring::parse(
        "greedy use greedy-0123456789\nmodest use modest-0123456789\n", "");
    tcp_settings tcp{.listen = {"127.0.0.1", 0}};
    tcp.keys = std::make_shared<const key_ring>(*std::move(ring));
    auto listening = server::start(folder_ / "socket", make_api(*actors_, {}),
                                   {}, std::move(tcp), {});
    if (!listening) {
      ADD_FAILURE() << listening.error().message;
      return;
    }
    server_ = *std::move(listening);
    const auto& address = server_->tcp_address();
    port_ = static_cast<std::uint16_t>(
        std::stoul(address.substr(address.rfind(':') + 1)));
    EXPECT_TRUE(eventually([](const json& h) { return h.value("ready", false); }));
  }
  ~api_callers() override {
    if (server_) server_->drain();
    if (actors_) actors_->stop(std::chrono::milliseconds(0));
    server_.reset();
  }

  json health() const {
    const auto reply =
        http_client({.socket = folder_ / "socket"}).request("GET", "/health");
    return reply ? json::parse(reply->body, nullptr, false) : json();
  }
  bool eventually(const std::function<bool(const json&)>& expected) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (std::chrono::steady_clock::now() < end) {
      const auto now = health();
      if (now.is_object() && expected(now)) return true;
      ::poll(nullptr, 0, 2);
    }
    return false;
  }

  static std::string completion(const std::string& who, const json& body) {
    const auto text = body.dump();
    return "POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
           "Authorization: Bearer " +
           who + "-0123456789\r\nContent-Length: " +
           std::to_string(text.size()) + "\r\n\r\n" + text;
  }

  test::temporary_folder folder_;
  std::unique_ptr<client> actors_;
  std::unique_ptr<server> server_;
  std::uint16_t port_ = 0;
};

TEST_F(api_callers, one_question_is_answered_while_another_key_asks_for_all) {
  constexpr int connections = 6, prompts = 8, choices = 16;
  json many = {{"model", "base"}, {"n", choices},        {"max_tokens", 300},
               {"temperature", 1}, {"ignore_eos", true}};
  for (int i = 0; i < prompts; ++i)
    many["prompt"].push_back("Once upon a time " + std::to_string(i));
  std::deque<raw_peer> greedy;
  for (int i = 0; i < connections; ++i)
    greedy.emplace_back(port_).say(completion("greedy", many));
  ASSERT_TRUE(eventually([](const json& h) {
    return h["queued"].get<int>() + h["running"].get<int>() +
               h["answered"].get<int>() ==
           connections * prompts * choices;
  })) << health();
  const auto before = health();
  ASSERT_EQ(before["running"], 16) << before;
  raw_peer modest(port_);
  modest.say(completion("modest", {{"model", "base"},
                                   {"prompt", "A cat"},
                                   {"max_tokens", 4},
                                   {"ignore_eos", true}}));
  const auto heard = modest.hear_until("\"total_tokens\"");
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 ")) << heard;
  // In turn, it would have come after all 768 answers of 300 tokens. Five steps
  // end hardly a round of those that run.
  const auto after = health();
  EXPECT_LT(after["answered"].get<int>() - before["answered"].get<int>(), 100);
}

}  // namespace
}  // namespace t2
