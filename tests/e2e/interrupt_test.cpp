// Ctrl-C, kill and restart: what was done is kept, or said to be lost.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "http/http_client.hpp"
#include "tests/e2e/playground.hpp"

namespace t2::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class interrupted : public playground {
 protected:
  std::string texts() {
    return file("texts.txt",
                "\"Hello,\" said the bird.\n\n\"Yes,\" said Tom.\n\n"
                "\"No, no,\" said Sue.\n\nThe cat said, \"Hi.\"\n");
  }

  std::vector<std::string> train(const std::string& name) {
    return {"expert", "train", name, "--data", texts(), "--steps", "400",
            "--batch", "2", "--max-tokens", "32", "--validation", "0.25",
            "--validate-every", "25", "--targets", "attention", "--curves",
            curves(name).string()};
  }
  fs::path curves(const std::string& name) const {
    return folder_ / (name + ".jsonl");
  }
  fs::path trainings() const { return folder_ / "store.db.trainings"; }

  /// Until `true_now`; false after a minute.
  template <class F>
  static bool wait_until(F true_now) {
    for (int tries = 0; tries < 12'000; ++tries) {
      if (true_now()) return true;
      ::usleep(5000);
    }
    return false;
  }
  bool wait_for_steps(const std::string& name, int steps) const {
    return wait_until([&] {
      const auto text = content(curves(name));
      return std::count(text.begin(), text.end(), '\n') >= steps;
    });
  }
  static std::int64_t last_step(const fs::path& curves) {
    const auto text = content(curves);
    const auto begin = text.rfind('\n', text.size() - 2);
    return json::parse(text.substr(begin + 1)).at("step");
  }

  json call(const std::string& method, const std::string& target,
            const json& body = json::object()) {
    const http_client http(
        http_client::settings{.socket = folder_ / "t2.sock"});
    const auto reply =
        http.request(method, target, method == "GET" ? "" : body.dump());
    EXPECT_TRUE(reply) << reply.error().message;
    return reply ? json::parse(reply->body) : json();
  }
  json first_job() { return call("GET", "/v1/jobs").at("data").at(0); }
};

// What the second run makes is what one that nobody disturbed makes.
TEST_F(interrupted, training_goes_on_to_the_same_bits_by_the_same_command) {
  ASSERT_EQ(t2(train("whole")).code, 0);
  ASSERT_FALSE(fs::exists(trainings()));
  const auto run = start_t2(train("parts"));
  ASSERT_TRUE(wait_for_steps("parts", 40)) << run->err();
  run->send(SIGINT);
  EXPECT_EQ(run->wait(), 130);
  EXPECT_NE(run->err().find("stopped at step"), std::string::npos)
      << run->err();
  EXPECT_NE(run->err().find("to go on: "), std::string::npos) << run->err();
  EXPECT_NE(run->err().find("expert train parts"), std::string::npos);
  ASSERT_TRUE(fs::exists(trainings()));
  EXPECT_FALSE(fs::is_empty(trainings()));
  const auto stopped = last_step(curves("parts"));
  ASSERT_LT(stopped, 400);

  const auto resumed = t2(train("parts"));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_FALSE(fs::exists(trainings()));
  for (const std::string name : {"whole", "parts"})
    ASSERT_EQ(t2({"expert", "export", name,
                  (folder_ / (name + ".safetensors")).string()})
                  .code,
              0);
  EXPECT_EQ(content(folder_ / "parts.safetensors"),
            content(folder_ / "whole.safetensors"));
  // Nor do its curves show where it stopped, but for the clock.
  const auto without_clock = [&](const std::string& name) {
    std::vector<json> lines;
    std::ifstream in(curves(name));
    for (std::string line; std::getline(in, line);) {
      lines.push_back(json::parse(line));
      lines.back().erase("seconds");
    }
    return lines;
  };
  EXPECT_EQ(without_clock("parts"), without_clock("whole"));
}

TEST_F(interrupted, training_keeps_the_checkpoint_that_was_asked_for) {
  const auto daemon = start_daemon();
  auto command = train("parts");
  const auto checkpoint = folder_ / "mine.checkpoint";
  command.insert(command.end(), {"--checkpoint", checkpoint.string(),
                                 "--checkpoint-every", "100000"});
  const auto run = start_t2(command);
  ASSERT_TRUE(wait_for_steps("parts", 40)) << run->err();
  run->send(SIGINT);
  EXPECT_EQ(run->wait(), 130);
  EXPECT_NE(run->err().find(checkpoint.string()), std::string::npos)
      << run->err();
  EXPECT_TRUE(fs::exists(checkpoint));
  EXPECT_FALSE(fs::exists(trainings()));
  // The daemon goes on serving.
  EXPECT_EQ(first_job().at("status"), "cancelled");
  EXPECT_EQ(t2(command).code, 0);
}

TEST_F(interrupted, a_second_time_it_ends_at_once) {
  const auto run = start_t2(train("parts"));
  ASSERT_TRUE(wait_for_steps("parts", 1)) << run->err();
  run->send(SIGINT);
  run->send(SIGINT);
  EXPECT_EQ(run->wait(), 130);
}

class interrupted_search : public interrupted {
 protected:
  void prepare() {
    // An expert that has learnt the task's own examples: it is believed.
    const auto trained =
        t2({"expert", "train", "own", "--data", examples(), "--steps", "40",
            "--batch", "3", "--validation", "0", "--learning-rate", "0.02"});
    ASSERT_EQ(trained.code, 0) << trained.err;
    ASSERT_EQ(t2({"task", "add", "stories", "--examples", examples(),
                  "--reward", "logprob"})
                  .code,
              0);
  }
  const std::vector<std::string> endless_ = {
      "adapt", "stories", "--search-iterations", "10000",
      "--search-population", "4", "--search-seconds", "0", "--search-tokens",
      "0", "--json"};

  void wait_for_iterations(int some) {
    ASSERT_TRUE(wait_until([&] {
      const auto jobs = call("GET", "/v1/jobs").at("data");
      return !jobs.empty() && jobs[0].at("progress").is_object() &&
             jobs[0]["progress"].value("iteration", 0) >= some;
    }));
  }
};

TEST_F(interrupted_search, keeps_what_is_believed_by_then) {
  const auto daemon = start_daemon();
  ASSERT_NO_FATAL_FAILURE(prepare());
  const auto run = start_t2(endless_);
  ASSERT_NO_FATAL_FAILURE(wait_for_iterations(3));
  run->send(SIGINT);
  EXPECT_EQ(run->wait(), 130);
  const auto found = json::parse(run->out());
  EXPECT_TRUE(found.at("truncated").get<bool>());
  EXPECT_TRUE(found.at("accepted").get<bool>()) << found.dump(1);
  EXPECT_NE(run->err().find("--force"), std::string::npos) << run->err();
  const auto kept =
      t2({"task", "show", "stories", "--json"}).json().at("adaptations");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].at("key"), found.at("key"));
  EXPECT_EQ(kept[0].at("mixture"), found.at("mixture"));
  const auto again = t2(endless_);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(again.json().at("reused").get<bool>());
}

TEST_F(interrupted_search, without_a_daemon_does_the_same) {
  ASSERT_NO_FATAL_FAILURE(prepare());
  const auto run = start_t2(endless_);
  // It has no other sign of life than the clock of its process.
  ASSERT_TRUE(wait_until([&] {
    const auto stat = content("/proc/" + std::to_string(run->pid()) + "/stat");
    std::istringstream fields(stat.substr(stat.rfind(')') + 2));
    std::string field;
    for (int i = 0; i < 12; ++i) fields >> field;  // utime, in ticks
    return !field.empty() && std::stol(field) > 300;
  }));
  run->send(SIGINT);
  EXPECT_EQ(run->wait(), 130) << run->err();
  const auto adaptations =
      t2({"task", "show", "stories", "--json"}).json().at("adaptations");
  const bool kept = adaptations.size() == 1;
  EXPECT_TRUE(kept) << run->err();
  if (kept) {
    EXPECT_TRUE(adaptations[0].at("truncated").get<bool>());
  }
}

TEST_F(interrupted_search, cancelled_by_its_job_stores_nothing) {
  const auto daemon = start_daemon();
  ASSERT_NO_FATAL_FAILURE(prepare());
  const auto run = start_t2(endless_);
  ASSERT_NO_FATAL_FAILURE(wait_for_iterations(3));
  const std::string id = first_job().at("id");
  call("POST", "/v1/jobs/" + id + "/cancel");
  EXPECT_NE(run->wait(), 0);
  EXPECT_TRUE(t2({"task", "show", "stories", "--json"})
                  .json()
                  .at("adaptations")
                  .empty());
}

TEST_F(interrupted, background_jobs_of_a_daemon_are_said_to_be_cut) {
  std::string id;
  {
    const auto daemon = start_daemon();
    id = call("POST", "/v1/experts/endless/train",
              {{"data", "Hello.\n\nYes.\n\nNo.\n"},
               {"format", "text"},
               {"steps", 1'000'000},
               {"batch", 1},
               {"checkpoint_every", 5},
               {"targets", "attention"},
               {"background", true}})
             .at("id");
    ASSERT_TRUE(wait_until([&] {
      const auto now = call("GET", "/v1/jobs/" + id).at("progress");
      return now.is_object() && now.at("step") >= 10;
    }));
    daemon->send(SIGKILL);
    daemon->wait();
  }
  const auto daemon = start_daemon();
  const auto job = call("GET", "/v1/jobs/" + id);
  EXPECT_EQ(job.at("status"), "failed");
  EXPECT_EQ(job.at("kind"), "training");
  EXPECT_EQ(job.at("subject"), "endless");
  EXPECT_EQ(job.at("error").at("code"), "cancelled");
  EXPECT_EQ(call("GET", "/v1/jobs").at("data").size(), 1u);
  // What it had learnt is there for whoever asks for it again.
  EXPECT_FALSE(fs::is_empty(trainings()));
}

TEST_F(interrupted, a_replay_sums_up_what_it_has) {
  const auto daemon = start_daemon();
  std::string lines;
  for (int i = 0; i < 4000; ++i)
    lines += R"({"id":"q)" + std::to_string(i) +
             R"(","prompt":"The cat","task":"base"})" + "\n";
  const auto out = folder_ / "out.jsonl";
  const auto run =
      start_t2({"replay", file("lines.jsonl", lines), "--model", "base",
                "--out", out.string(), "--max-tokens", "8", "--json"});
  ASSERT_TRUE(wait_until([&] {
    const auto text = content(out);
    return std::count(text.begin(), text.end(), '\n') >= 10;
  }));
  run->send(SIGINT);
  EXPECT_EQ(run->wait(), 130);
  const auto summary = json::parse(run->out());
  EXPECT_GE(summary.at("answered"), 10);
  EXPECT_LT(summary.at("answered"), 4000);
  const auto text = content(out);
  EXPECT_EQ(summary.at("answered"),
            std::count(text.begin(), text.end(), '\n'));
  EXPECT_NE(run->err().find("to go on: "), std::string::npos) << run->err();
}

TEST_F(interrupted, an_evaluation_says_that_it_begins_again) {
  const auto daemon = start_daemon();
  std::string lines;
  for (int i = 0; i < 4000; ++i)
    lines += R"({"id":"q)" + std::to_string(i) + R"(","prompt":"The cat )" +
             std::to_string(i) + R"(","answer":"x","reward":"exact"})" + "\n";
  const auto run = start_t2({"eval", file("lines.jsonl", lines), "--model",
                             "base", "--max-tokens", "8"});
  ASSERT_TRUE(wait_until([&] {
    return call("GET", "/health").at("answered") >= 10;
  }));
  run->send(SIGINT);
  EXPECT_EQ(run->wait(), 130);
  EXPECT_NE(run->err().find("lost"), std::string::npos) << run->err();
  EXPECT_NE(run->err().find("to go on: "), std::string::npos) << run->err();
}

}  // namespace
}  // namespace t2::test
