#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

#include "tests/e2e/playground.hpp"
#include "tests/paths.hpp"

namespace t2::test {
namespace {

class faults : public playground {
 protected:
  /// Until `happened` says yes; false after a minute.
  static bool eventually(const std::function<bool()>& happened) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!happened()) {
      if (std::chrono::steady_clock::now() > end) return false;
      ::poll(nullptr, 0, 1);
    }
    return true;
  }

  std::string stream(int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      lines += R"({"id":"q)" + std::to_string(i) + R"(","prompt":"Story )" +
               std::to_string(i) + R"( is about"})" + "\n";
    }
    return file("stream.jsonl", lines);
  }

  /// The answers of a log by id.
  static std::map<std::string, std::string> answers(
      const std::filesystem::path& log) {
    std::map<std::string, std::string> found;
    std::istringstream in(content(log));
    for (std::string line; std::getline(in, line);) {
      const auto value = nlohmann::json::parse(line);
      const bool fresh =
          found.emplace(value.at("id"), value.at("answer")).second;
      EXPECT_TRUE(fresh) << "twice: " << line;
    }
    return found;
  }
};

TEST_F(faults, a_replay_that_was_killed_goes_on_where_it_was) {
  const auto daemon = start_daemon();
  const auto log = folder_ / "out.jsonl";
  const std::vector<std::string> replay = {
      "replay",  stream(60), "--out",        log.string(), "--concurrency", "2",
      "--model", "base",     "--max-tokens", "24",         "--json"};
  {
    const auto running = start_t2(replay);
    ASSERT_TRUE(eventually([&] {
      const auto text = content(log);
      return std::ranges::count(text, '\n') >= 5;
    }));
    running->send(SIGKILL);
    EXPECT_EQ(running->wait(), 128 + SIGKILL);
  }
  // As if the kill had come in the middle of a line.
  std::ofstream(log, std::ios::app) << R"({"id":"q59","answer":"torn)";

  const auto resumed = t2(replay);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const auto summary = resumed.json();
  EXPECT_GE(summary.at("answered_before"), 5);
  EXPECT_EQ(summary.at("answered").get<int>() +
                summary.at("answered_before").get<int>(),
            60);
  const auto pieced = answers(log);
  EXPECT_EQ(pieced.size(), 60u);

  // The same answers as of a run that nothing has disturbed.
  auto undisturbed = replay;
  undisturbed[3] = (folder_ / "whole.jsonl").string();
  ASSERT_EQ(t2(undisturbed).code, 0);
  EXPECT_EQ(answers(undisturbed[3]), pieced);

  // Other options would mix two experiments in one file.
  auto other = replay;
  other[9] = "7";
  const auto refused = t2(other);
  EXPECT_EQ(refused.code, 4) << refused.err;
}

TEST_F(faults, a_log_that_is_none_is_left_alone) {
  const auto log = file("out.jsonl", "precious\n{\"id\":\"x\"}\n");
  const auto refused = t2({"replay", stream(1), "--out", log});
  EXPECT_EQ(refused.code, 4) << refused.err;
  EXPECT_EQ(content(log), "precious\n{\"id\":\"x\"}\n");
}

TEST_F(faults, a_daemon_that_was_killed_has_all_that_it_acknowledged) {
  {
    const auto daemon = start_daemon();
    ASSERT_EQ(t2({"task", "add", "stories", "--examples", examples(),
                  "--reward", "logprob"})
                  .code,
              0);
    train("talk", "1");
    auto adapt = quick_search();
    adapt.insert(adapt.begin(), {"adapt", "stories"});
    ASSERT_EQ(t2(adapt).code, 0);
    daemon->send(SIGKILL);
    EXPECT_EQ(daemon->wait(), 128 + SIGKILL);
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "t2.sock")) << "a stale one";
  const auto daemon = start_daemon();
  EXPECT_EQ(t2({"store", "check"}).code, 0);
  EXPECT_EQ(t2({"expert", "list", "--json"}).json().at("data").size(), 1u);
  EXPECT_EQ(
      t2({"task", "show", "stories", "--json"}).json().at("adaptations").size(),
      1u);
  auto adapt = quick_search();
  adapt.insert(adapt.begin(), {"adapt", "stories", "--json"});
  EXPECT_TRUE(t2(adapt).json().at("reused").get<bool>());
}

TEST_F(faults, a_store_that_somebody_else_has_is_said_to_be_busy) {
  const auto daemon = start_daemon();
  const auto refused = t2(
      {"expert", "list", "--server-socket", (folder_ / "other.sock").string()});
  EXPECT_EQ(refused.code, 5);
  EXPECT_NE(refused.err.find(std::to_string(daemon->pid())), std::string::npos)
      << refused.err;
  // A second daemon too, and the first one goes on.
  child_process second({T2D_BINARY}, environment_);
  EXPECT_EQ(second.wait(), 5) << second.err();
  EXPECT_EQ(t2({"expert", "list"}).code, 0);
}

TEST_F(faults, ctrl_c_ends_a_question_and_its_work) {
  const auto daemon = start_daemon();
  const std::vector<std::string> endless = {
      "ask", "--model",       "base", "--max-tokens",
      "500", "--temperature", "1",    "Once upon a time"};
  // Whether this one is caught in the middle is up to the machine.
  int caught = 0;
  for (int i = 0; i < 5; ++i) {
    const auto asking = start_t2(endless);
    asking->wait_for(" ");
    asking->send(SIGINT);
    caught += asking->wait() == 130 ? 1 : 0;
  }
  EXPECT_GT(caught, 0);
  const auto asked = t2({"ask", "--model", "base", "--max-tokens", "4", "A"});
  EXPECT_EQ(asked.code, 0) << asked.err;
}

TEST_F(faults, ctrl_c_ends_a_command_that_has_no_daemon) {
  const auto asking =
      start_t2({"replay", stream(500), "--model", "base", "--out",
                (folder_ / "out.jsonl").string(), "--max-tokens", "64"});
  ASSERT_TRUE(
      eventually([&] { return !content(folder_ / "out.jsonl").empty(); }));
  asking->send(SIGINT);
  EXPECT_EQ(asking->wait(), 130) << asking->err();
  // The store was closed, so it opens at once.
  EXPECT_EQ(t2({"expert", "list"}).code, 0);
}

TEST_F(faults, a_daemon_lets_an_answer_end_when_it_is_asked_to_stop) {
  const auto daemon = start_daemon();
  const auto asking = start_t2(
      {"ask", "--model", "base", "--max-tokens", "200", "Once upon a time"});
  ASSERT_TRUE(asking->wait_for(" "));
  daemon->send(SIGTERM);
  EXPECT_EQ(asking->wait(), 0) << asking->err();
  EXPECT_EQ(daemon->wait(), 0) << daemon->err();
}

TEST_F(faults, mistakes_are_named_with_what_was_meant) {
  const auto says = [&](const std::vector<std::string>& arguments, int code,
                        const std::string& words) {
    const auto said = t2(arguments);
    EXPECT_EQ(said.code, code) << said.err;
    EXPECT_NE(said.err.find(words), std::string::npos) << said.err;
    EXPECT_EQ(said.out, "");
    EXPECT_EQ(std::ranges::count(said.err, '\n'), 1) << said.err;
  };
  says({"adpt", "x"}, 2, "'adapt'");
  says({"task", "lst"}, 2, "'task list'");
  says({"ask", "--temprature", "1", "x"}, 2, "--temperature");
  says({"ask", "--temperature", "hot", "x"}, 2, "hot");
  says({"ask"}, 2, "TEXT");
  says({"task", "add", "x", "--examples", "/nowhere.jsonl"}, 3,
       "/nowhere.jsonl");
  says(
      {"task", "add", "x", "--examples", file("bad.jsonl", "{\"prompt\":1}\n")},
      2, "bad.jsonl:1");
  says({"task", "show", "nothing"}, 3, "nothing");
  says({"expert", "show", "nothing"}, 3, "nothing");
  says({"ask", "--model", "nothing", "x"}, 3, "nothing");
  says({"config", "--config", "/nowhere.toml"}, 3, "/nowhere.toml");
  says({"config", "--config", file("typo.toml", "[engine]\nthread = 1\n")}, 2,
       "engine.threads");
  environment_["T2_ENGINE_THREAD"] = "1";
  says({"config"}, 2, "T2_ENGINE_THREADS");
  environment_.erase("T2_ENGINE_THREAD");
}

TEST_F(faults, a_model_that_is_missing_is_named) {
  for (const std::string& program :
       {std::string(T2_BINARY), std::string(T2D_BINARY)}) {
    std::vector<std::string> command = {program, "--model-path", "/nowhere"};
    if (program == T2_BINARY) {
      command.insert(command.begin() + 1, {"ask", "hello"});
    }
    child_process missing(command, environment_);
    EXPECT_EQ(missing.wait(), 3) << missing.err();
    EXPECT_NE(missing.err().find("/nowhere"), std::string::npos);

    environment_["T2_CONFIG"] = file("empty.toml", "");
    command.resize(command.size() - 2);
    child_process none(command, environment_);
    EXPECT_EQ(none.wait(), 2) << none.err();
    EXPECT_NE(none.err().find("--model-path"), std::string::npos);
    environment_["T2_CONFIG"] = (folder_ / "t2.toml").string();
  }
}

TEST_F(faults, a_model_that_is_damaged_is_named) {
  const auto model = folder_ / "model";
  std::filesystem::copy(tests::assets() / "stories260k-hf", model);
  std::filesystem::resize_file(model / "model.safetensors", 1000);
  const auto asked =
      t2({"ask", "--model-path", model.string(), "--model", "base", "x"});
  EXPECT_EQ(asked.code, 5) << asked.err;
  EXPECT_NE(asked.err.find("model.safetensors"), std::string::npos)
      << asked.err;
  child_process daemon({T2D_BINARY, "--model-path", model.string()},
                       environment_);
  EXPECT_EQ(daemon.wait(), 5) << daemon.err();
  EXPECT_NE(daemon.err().find("model.safetensors"), std::string::npos);
}

TEST_F(faults, weights_that_change_under_a_daemon_end_it_in_order) {
  const auto model = folder_ / "model";
  const auto weights = model / "model.safetensors";
  const auto spoil = [&] {  // a byte, with size and time kept
    const auto time = std::filesystem::last_write_time(weights);
    std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('\x55');
    file.close();
    std::filesystem::last_write_time(weights, time);
  };
  const auto shorten = [&] { std::filesystem::resize_file(weights, 4096); };
  for (const std::function<void()>& change :
       {std::function<void()>(spoil), std::function<void()>(shorten)}) {
    std::filesystem::remove_all(model);
    std::filesystem::copy(tests::assets() / "stories260k-hf", model);
    const auto daemon = start_daemon({"--model-path", model.string()});
    change();
    EXPECT_EQ(daemon->wait(), 4) << daemon->err();
    EXPECT_NE(daemon->err().find(weights.string()), std::string::npos)
        << daemon->err();
  }
  const auto checked = t2({"model", "check", model.string()});
  EXPECT_EQ(checked.code, 4) << checked.out << checked.err;
}

TEST_F(faults, weights_that_are_replaced_by_rename_are_not_missed) {
  const auto model = folder_ / "model";
  std::filesystem::copy(tests::assets() / "stories260k-hf", model);
  const auto daemon = start_daemon({"--model-path", model.string()});
  const auto before =
      t2({"ask", "--model", "base", "--max-tokens", "8", "Once"});
  std::filesystem::copy_file(model / "model.safetensors", model / "new");
  std::filesystem::resize_file(model / "new", 100);
  std::filesystem::rename(model / "new", model / "model.safetensors");
  ASSERT_TRUE(daemon->wait_for("was replaced")) << daemon->err();
  const auto after =
      t2({"ask", "--model", "base", "--max-tokens", "8", "Once"});
  EXPECT_EQ(after.code, 0) << after.err;
  EXPECT_EQ(after.out, before.out);
  daemon->send(SIGTERM);
  EXPECT_EQ(daemon->wait(), 0) << daemon->err();
}

// What the OpenMP library says of itself when it is loaded, the last time.
TEST_F(faults, programs_choose_how_long_their_threads_spin) {
  environment_["OMP_DISPLAY_ENV"] = "verbose";
  const auto said = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"task", "list"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto ended = t2(arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    const auto at = ended.err.rfind("GOMP_SPINCOUNT = '");
    return at == std::string::npos
               ? ended.err
               : ended.err.substr(at, ended.err.find('\n', at) - at);
  };
  EXPECT_EQ(said({}), "GOMP_SPINCOUNT = '5000'");
  EXPECT_EQ(said({"--engine-spin", "77"}), "GOMP_SPINCOUNT = '77'");
  environment_["GOMP_SPINCOUNT"] = "1234";
  EXPECT_EQ(said({"--engine-spin", "77"}), "GOMP_SPINCOUNT = '1234'");
  environment_.erase("GOMP_SPINCOUNT");
  environment_["OMP_WAIT_POLICY"] = "passive";
  EXPECT_EQ(said({"--engine-spin", "77"}), "GOMP_SPINCOUNT = '0'");
}

TEST_F(faults, a_first_start_makes_the_folder_of_its_store) {
  environment_["T2_STORE_PATH"] = (folder_ / "a/b/store.db").string();
  EXPECT_EQ(t2({"task", "list"}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "a/b/store.db"));
  EXPECT_EQ(std::filesystem::status(folder_ / "a/b").permissions(),
            std::filesystem::perms::owner_all);
}

TEST_F(faults, help_and_version_need_nothing) {
  environment_ = {};
  EXPECT_EQ(t2({"--version"}).code, 0);
  EXPECT_EQ(t2({"help"}).code, 0);
  const auto help = t2({"replay", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("--concurrency"), std::string::npos);
  child_process daemon({T2D_BINARY, "--help"}, environment_);
  EXPECT_EQ(daemon.wait(), 0);
}

TEST_F(faults, errors_are_json_for_programs) {
  const auto refused = t2({"task", "show", "nothing", "--json"});
  EXPECT_EQ(refused.code, 3);
  const auto form = nlohmann::json::parse(refused.err, nullptr, false);
  ASSERT_TRUE(form.is_object()) << refused.err;
  EXPECT_EQ(form.at("error").at("code"), "not_found");
}

}  // namespace
}  // namespace t2::test
