#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <deque>

#include "tests/e2e/playground.hpp"
#include "tests/http/raw_peer.hpp"

namespace t2::test {
namespace {

/// A daemon on TCP, asked with curl.
class serving : public playground {
 protected:
  /// Where it says that it listens.
  static std::string address_of(const child_process& daemon) {
    const std::string words = " listening on http";
    const auto at = daemon.err().find(words);
    if (at == std::string::npos) {
      ADD_FAILURE() << daemon.err();
      return {};
    }
    const auto begin = at + words.size() - 4;
    return daemon.err().substr(begin, daemon.err().find('\n', begin) - begin);
  }

  std::string keys(const std::string& text, mode_t mode) {
    const auto name = file("keys", text);
    ::chmod(name.c_str(), mode);
    return name;
  }

  /// The status of an answer, and its body.
  spoken curl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"/usr/bin/curl", "-sk", "--max-time",
                                         "60", "-w", "%{http_code}"});
    child_process asked(arguments, environment_);
    asked.wait();
    spoken said{.code = 0, .out = asked.out(), .err = asked.err()};
    if (said.out.size() < 3) return said;
    said.code = std::stoi(said.out.substr(said.out.size() - 3));
    said.out.resize(said.out.size() - 3);
    return said;
  }

  /// How a daemon that will not start ends, and its one line.
  void refuses(std::vector<std::string> arguments, int code,
               const std::string& words) {
    arguments.insert(arguments.begin(), T2D_BINARY);
    child_process daemon(arguments, environment_);
    EXPECT_EQ(daemon.wait(), code) << daemon.err();
    EXPECT_NE(daemon.err().find(words), std::string::npos) << daemon.err();
  }
};

TEST_F(serving, a_daemon_on_tcp_answers_whoever_is_on_this_machine) {
  const auto daemon = start_daemon({"--listen", "127.0.0.1:0"});
  const auto url = address_of(*daemon);
  EXPECT_EQ(curl({url + "/ready"}).code, 200);
  const auto asked =
      curl({url + "/v1/completions", "-d",
            R"({"model":"base","prompt":"Once upon","max_tokens":4})"});
  EXPECT_EQ(asked.code, 200) << asked.out;
  EXPECT_EQ(asked.json().at("usage").at("completion_tokens"), 4);
  EXPECT_EQ(curl({url + "/v1/store/check"}).code, 200);
  const auto counts = curl({url + "/metrics"});
  EXPECT_NE(counts.out.find("\nt2_time_to_first_token_seconds_count 1\n"),
            std::string::npos)
      << counts.out;
  // The command line goes on to speak to the socket.
  EXPECT_EQ(t2({"task", "list"}).code, 0);
  EXPECT_EQ(curl({url + "/health", "-H", "Host: evil.example"}).code, 403);
  EXPECT_EQ(curl({url + "/health", "-H", "Origin: http://evil.example"}).code,
            403);
}

TEST_F(serving, keys_decide_who_may_do_what) {
  const auto file = keys(
      "ada administer ada-0123456789abc\nbob use bob-0123456789abc\n", 0600);
  const auto daemon =
      start_daemon({"--listen", "127.0.0.1:0", "--server-keys", file});
  const auto url = address_of(*daemon);
  const auto status = [&](const std::string& path, const std::string& key) {
    std::vector<std::string> arguments = {url + path};
    if (!key.empty()) {
      arguments.insert(arguments.end(), {"-H", "Authorization: Bearer " + key});
    }
    return curl(arguments).code;
  };
  EXPECT_EQ(status("/v1/models", ""), 401);
  EXPECT_EQ(status("/v1/models", "eve-0123456789abc"), 401);
  EXPECT_EQ(status("/v1/models", "bob-0123456789abc"), 200);
  EXPECT_EQ(status("/v1/audit", "bob-0123456789abc"), 403);
  EXPECT_EQ(status("/v1/audit", "ada-0123456789abc"), 200);
  EXPECT_EQ(status("/metrics", ""), 401);
  EXPECT_EQ(status("/metrics", "bob-0123456789abc"), 403);
  EXPECT_EQ(status("/metrics", "ada-0123456789abc"), 200);
  EXPECT_EQ(status("/v1/seen?model=base", "bob-0123456789abc"), 403);
  EXPECT_EQ(status("/v1/seen?model=base", "ada-0123456789abc"), 200);
  EXPECT_EQ(status("/ready", ""), 200);
  const auto anonymous = curl({url + "/health"});
  EXPECT_EQ(anonymous.json(), (nlohmann::json{{"ready", true},
                                              {"state", "ready"}}));
  EXPECT_EQ(t2({"store", "check"}).code, 0);
}

// What one key asks is found by no other, neither in the counters nor in an
// answer; its own prompts are.
TEST_F(serving, a_key_learns_nothing_of_anothers_prompt) {
  const auto file = keys(
      "ada use ada-0123456789abc\nmallory use mal-0123456789abc\n"
      "graph metrics graph-0123456789abc\n",
      0600);
  const std::vector<std::string> arguments = {"--listen", "127.0.0.1:0",
                                              "--server-keys", file};
  const auto cached_after = [&](const child_process& daemon,
                                const std::string& key,
                                const std::string& prompt) {
    const auto url = address_of(daemon);
    const nlohmann::json body = {
        {"model", "base"}, {"prompt", prompt}, {"max_tokens", 1}};
    const auto asked = curl({url + "/v1/completions", "-d", body.dump(), "-H",
                             "Authorization: Bearer " + key});
    EXPECT_EQ(asked.code, 200) << asked.out;
    EXPECT_EQ(asked.out.find("cached_tokens"), std::string::npos);
    const auto counts =
        curl({url + "/metrics", "-H",
              "Authorization: Bearer graph-0123456789abc"});
    EXPECT_EQ(counts.code, 200);
    const std::string name = "\nt2_prompt_tokens_cached_total ";
    const auto at = counts.out.find(name);
    if (at == std::string::npos) return -1;
    return std::stoi(counts.out.substr(at + name.size()));
  };
  const std::string secret =
      "The PIN of Ada is 4829 and nobody else may know it at all, ever";
  {
    const auto daemon = start_daemon(arguments);
    EXPECT_EQ(cached_after(*daemon, "ada-0123456789abc", secret + ", she says."),
              0);
    EXPECT_EQ(cached_after(*daemon, "mal-0123456789abc", secret), 0);
    EXPECT_GT(cached_after(*daemon, "ada-0123456789abc", secret), 0);
  }
  auto shared = arguments;
  shared.push_back("--server-share-prefixes");
  const auto daemon = start_daemon(shared);
  EXPECT_EQ(cached_after(*daemon, "ada-0123456789abc", secret + ", she says."),
            0);
  EXPECT_GT(cached_after(*daemon, "mal-0123456789abc", secret), 0);
}

TEST_F(serving, the_audit_log_names_the_key_and_others_see_no_folders) {
  const auto file = keys(
      "ada administer ada-0123456789abc\nbob use bob-0123456789abc\n", 0600);
  const auto daemon =
      start_daemon({"--listen", "127.0.0.1:0", "--server-keys", file});
  const auto url = address_of(*daemon);
  const std::string ada = "Authorization: Bearer ada-0123456789abc";
  const std::string bob = "Authorization: Bearer bob-0123456789abc";
  const std::string task =
      R"({"name":"one","reward":"exact","examples":)"
      R"([{"id":"a","prompt":"p","answer":"b"}]})";
  EXPECT_EQ(curl({url + "/v1/tasks", "-H", ada, "-d", task}).code, 201);
  EXPECT_EQ(t2({"task", "rm", "one"}).code, 0);
  const auto log = curl({url + "/v1/audit?last=2", "-H", ada}).json().at("data");
  EXPECT_EQ(log[0].at("action"), "add_task");
  EXPECT_EQ(log[0].at("detail").at("by"), "ada");
  EXPECT_EQ(log[1].at("action"), "remove_task");
  EXPECT_EQ(log[1].at("detail").at("by"), "socket");

  for (const char* path :
       {"/v1/tasks/none", "/v1/tasks/none/adaptations", "/v1/experts/none",
        "/v1/experts/none/versions", "/v1/experts/none/heatmap",
        "/v1/experts/none?version=x", "/v1/jobs/none", "/v1/models/none",
        "/v1/models/expert:none@1", "/v1/evaluations", "/v1/store/check",
        "/health", "/none"}) {
    const auto told = curl({url + path, "-H", bob});
    EXPECT_EQ(told.out.find(folder_.path().string()), std::string::npos)
        << path << ": " << told.out;
  }
  for (const char* body :
       {R"({"model":"none","prompt":"a"})", R"({"model":"expert:x@9","prompt":"a"})",
        R"({"model":"label:x","prompt":"a"})", R"({"prompt":5})", "{",
        R"({"model":"auto:classifier","prompt":"a"})",
        R"({"model":"base","prompt":"a","logit_bias":{"99999999":1}})",
        R"({"model":"none","prompt":"a","stream":true})"}) {
    const auto told = curl({url + "/v1/completions", "-H", bob, "-d", body});
    EXPECT_EQ(told.out.find(folder_.path().string()), std::string::npos)
        << body << ": " << told.out;
  }
}

// Few descriptors: idle peers on TCP neither shut TCP nor the Unix socket.
TEST_F(serving, idle_peers_leave_descriptors_for_others) {
  environment_["PATH"] = "/usr/bin:/bin";
  const auto limited = [&](const std::string& most) {
    return std::make_unique<child_process>(
        std::vector<std::string>{
            "/bin/bash", "-c",
            "ulimit -n " + most + " && exec " + std::string(T2D_BINARY) +
                " --listen 127.0.0.1:0 --rewards-workers 1"},
        environment_);
  };
  {
    const auto refused = limited("90");
    EXPECT_EQ(refused->wait(), 7) << refused->err();
    EXPECT_NE(refused->err().find("open files: expected"), std::string::npos)
        << refused->err();
  }
  const auto daemon = limited("160");
  ASSERT_TRUE(daemon->wait_for(" ready: ")) << daemon->err();
  EXPECT_NE(daemon->err().find("open files: there is room for"),
            std::string::npos);
  const auto url = address_of(*daemon);
  const auto port = static_cast<std::uint16_t>(
      std::stoul(url.substr(url.rfind(':') + 1)));
  std::deque<raw_peer> idle;
  for (int i = 0; i < 200; ++i) idle.emplace_back(port);
  EXPECT_EQ(t2({"task", "list"}).code, 0);
  EXPECT_EQ(curl({url + "/v1/models"}).code, 200);
  EXPECT_EQ(t2({"store", "check"}).code, 0);
}

TEST_F(serving, what_would_let_anybody_in_does_not_start) {
  refuses({"--listen", "0.0.0.0:0"}, 2, "server.keys");
  const auto open = keys("ada use ada-0123456789abc\n", 0644);
  refuses({"--listen", "127.0.0.1:0", "--server-keys", open}, 2,
          open + ": expected keys that only their owner can read (mode 600), "
                 "found mode 644");
  refuses({"--listen", "127.0.0.1:0", "--server-keys", "/nowhere"}, 3,
          "/nowhere");
  refuses({"--listen", "127.0.0.1:0", "--server-tls-key", "/nowhere"}, 2,
          "server.tls_certificate: expected a file beside server.tls_key");
  refuses({"--listen", "localhost"}, 2, "HOST:PORT");
  // Keys let others in.
  const auto file = keys("ada use ada-0123456789abc\n", 0600);
  const auto daemon =
      start_daemon({"--listen", "0.0.0.0:0", "--server-keys", file});
  EXPECT_NE(daemon->err().find("listening on http://0.0.0.0:"),
            std::string::npos);
}

TEST_F(serving, a_daemon_speaks_tls) {
  const auto certificate = (folder_ / "cert.pem").string();
  const auto key = (folder_ / "key.pem").string();
  child_process made({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec",
                      "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-days", "2", "-subj", "/CN=localhost", "-keyout", key,
                      "-out", certificate},
                     environment_);
  ASSERT_EQ(made.wait(), 0) << made.err();
  const auto daemon =
      start_daemon({"--listen", "127.0.0.1:0", "--server-tls-certificate",
                    certificate, "--server-tls-key", key});
  const auto url = address_of(*daemon);
  ASSERT_TRUE(url.starts_with("https://"));
  const auto streamed = curl(
      {url + "/v1/completions", "-d",
       R"({"model":"base","prompt":"Once","max_tokens":16,"stream":true})"});
  EXPECT_EQ(streamed.code, 200) << streamed.out;
  EXPECT_TRUE(streamed.out.ends_with("data: [DONE]\n\n")) << streamed.out;
}

TEST_F(serving, a_full_queue_answers_429) {
  const auto daemon = start_daemon({"--listen", "127.0.0.1:0",
                                    "--server-queue", "1",
                                    "--engine-max-sequences", "1"});
  const auto url = address_of(*daemon);
  // Answers that take a while: one runs, one waits, then there is no room.
  const std::string long_one =
      R"({"model":"base","prompt":"Once","max_tokens":450,"ignore_eos":true})";
  std::vector<std::unique_ptr<child_process>> asking;
  int refused = 0;
  for (int round = 0; round < 5 && refused == 0; ++round) {
    for (int i = 0; i < 24; ++i) {
      asking.push_back(std::make_unique<child_process>(
          std::vector<std::string>{"/usr/bin/curl", "-si", url +
                                   "/v1/completions", "-d", long_one},
          environment_));
    }
    for (const auto& one : asking) {
      one->wait();
      const auto& said = one->out();
      if (said.starts_with("HTTP/1.1 200 ")) continue;
      ++refused;
      EXPECT_TRUE(said.starts_with("HTTP/1.1 429 Too Many Requests")) << said;
      EXPECT_NE(said.find("\r\nRetry-After: "), std::string::npos) << said;
      EXPECT_NE(said.find("rate_limit_error"), std::string::npos) << said;
    }
    asking.clear();
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace t2::test
