// A load on a daemon that answers, and on one in the command itself.
#include <unistd.h>

#include <csignal>

#include "http/http_client.hpp"
#include "tests/e2e/playground.hpp"

namespace t2::test {
namespace {

class bench_serve : public playground {};

TEST_F(bench_serve, measures_clients_that_wait_for_their_answers) {
  const auto daemon = start_daemon();
  train("tales", "1");
  const auto loaded =
      t2({"bench", "serve", "--requests", "24", "--concurrency", "3",
          "--models", "base,expert:tales", "--prompts", "3", "--max-tokens",
          "6", "--ignore-eos", "--check", "--json"});
  ASSERT_EQ(loaded.code, 0) << loaded.err;
  const auto form = loaded.json();
  EXPECT_EQ(form.at("requests").at("ok"), 24);
  EXPECT_EQ(form.at("output_tokens"), 24 * 6);
  EXPECT_EQ(form.at("models").at("base").at("requests").at("ok"), 12);
  EXPECT_EQ(form.at("models").at("expert:tales").at("requests").at("ok"), 12);
  EXPECT_EQ(form.at("check").at("compared"), 24 - 6);
  const double first = form.at("first_token_ms").at("p50");
  const double whole = form.at("latency_ms").at("p50");
  EXPECT_GT(first, 0);
  EXPECT_GT(whole, first);
  EXPECT_NEAR(form.at("output_tokens_per_second").get<double>() *
                  form.at("seconds").get<double>(),
              24 * 6, 1e-6);
}

TEST_F(bench_serve, survives_clients_that_misbehave) {
  const auto daemon = start_daemon();
  const auto loaded =
      t2({"bench", "serve", "--rate", "60", "--requests", "60", "--misbehave",
          "0.4", "--prompt-tokens", "8", "--max-tokens", "8", "--model",
          "base", "--json"});
  ASSERT_EQ(loaded.code, 0) << loaded.err;
  const auto form = loaded.json();
  const auto& bad = form.at("misbehaved");
  const int badly = bad.at("vanished").get<int>() +
                    bad.at("half_request").get<int>() +
                    bad.at("slow_reader").get<int>();
  EXPECT_GT(badly, 5);
  EXPECT_EQ(form.at("requests").at("ok").get<int>() + badly, 60) << form;
  const auto health = t2({"ask", "Once", "--max-tokens", "2"});
  EXPECT_EQ(health.code, 0) << health.err;
  daemon->send(SIGTERM);
  EXPECT_EQ(daemon->wait(), 0) << daemon->err();
}

TEST_F(bench_serve, counts_refusals_of_a_full_queue) {
  const auto daemon =
      start_daemon({"--server-queue", "1", "--engine-max-sequences", "1"});
  const auto loaded =
      t2({"bench", "serve", "--requests", "40", "--concurrency", "8", "--model",
          "base", "--max-tokens", "64", "--ignore-eos", "--json"});
  ASSERT_EQ(loaded.code, 0) << loaded.err;
  const auto counts = loaded.json().at("requests");
  EXPECT_GT(counts.at("busy"), 0);
  EXPECT_EQ(counts.at("busy").get<int>() + counts.at("ok").get<int>(), 40);
}

TEST_F(bench_serve, starts_the_parts_itself_where_no_daemon_runs) {
  const auto loaded =
      t2({"bench", "serve", "--requests", "4", "--model", "base"});
  EXPECT_EQ(loaded.code, 0) << loaded.err;
  EXPECT_NE(loaded.out.find("4 ok, 0 busy"), std::string::npos) << loaded.out;
}

TEST_F(bench_serve, ends_with_what_it_has_when_it_is_interrupted) {
  const auto daemon = start_daemon();
  const auto bench = start_t2(
      {"bench", "serve", "--seconds", "600", "--model", "base", "--json"});
  const http_client http({.socket = folder_ / "t2.sock"});
  const auto answered = [&] {
    const auto reply = http.request("GET", "/health");
    return reply ? nlohmann::json::parse(reply->body).value("answered", 0) : 0;
  };
  while (answered() < 8) ::usleep(10'000);
  bench->send(SIGINT);
  EXPECT_EQ(bench->wait(), 130);
  const auto form = nlohmann::json::parse(bench->out(), nullptr, false);
  ASSERT_TRUE(form.is_object()) << bench->out() << bench->err();
  EXPECT_GT(form.at("requests").at("ok"), 0);
  EXPECT_LE(form.at("requests").at("cancelled"), 4);
  EXPECT_EQ(form.at("requests").at("failed"), 0);
}

TEST_F(bench_serve, says_what_it_expects) {
  const auto neither = t2({"bench", "serve"});
  EXPECT_EQ(neither.code, 2);
  EXPECT_NE(neither.err.find("--requests"), std::string::npos) << neither.err;
  EXPECT_EQ(t2({"bench", "serve", "--requests", "1", "--rate", "1",
                "--concurrency", "2"})
                .code,
            2);
}

}  // namespace
}  // namespace t2::test
