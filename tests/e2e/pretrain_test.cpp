// t2 pretrain as a process: killed and interrupted, it goes on.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/e2e/child_process.hpp"
#include "tests/paths.hpp"

namespace t2::test {
namespace {

namespace fs = std::filesystem;

class pretraining_process : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path{testing::TempDir()} /
              ("t2-pretrain-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<std::string> command(const std::string& out, int steps) const {
    return {T2_BINARY,
            "pretrain",
            "--data",
            (tests::assets() / "pretrained-tiny/corpus.jsonl").string(),
            "--out",
            (folder_ / out).string(),
            "--vocabulary",
            "320",
            "--hidden",
            "32",
            "--layers",
            "2",
            "--heads",
            "4",
            "--intermediate",
            "48",
            "--batch",
            "512",
            "--steps",
            std::to_string(steps),
            "--checkpoint-every",
            "20",
            "--log-every",
            "1",
            "--threads",
            "1"};
  }
  static std::string bytes(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }
  /// Until the log of a run has so many lines; false when it ends before.
  bool wait_for_steps(const std::string& out, int steps) const {
    for (int tries = 0; tries < 6000; ++tries) {
      const auto text = bytes(folder_ / out / "training_log.jsonl");
      if (std::count(text.begin(), text.end(), '\n') >= steps) return true;
      ::usleep(5000);
    }
    return false;
  }

  fs::path folder_;
  child_process::variables environment_ = {{"HOME", "/nonexistent"}};
};

TEST_F(pretraining_process, goes_on_after_kill_9_and_ctrl_c_to_the_same_bits) {
  const int steps = 400;
  child_process whole{command("whole", steps), environment_};
  ASSERT_EQ(whole.wait(), 0) << whole.err();
  {
    child_process killed{command("parts", steps), environment_};
    ASSERT_TRUE(wait_for_steps("parts", 50)) << killed.err();
    killed.send(SIGKILL);
    EXPECT_EQ(killed.wait(), 128 + SIGKILL);
  }
  ASSERT_TRUE(fs::exists(folder_ / "parts.checkpoint"));
  {
    child_process stopped{command("parts", steps), environment_};
    ASSERT_TRUE(wait_for_steps("parts", 150)) << stopped.err();
    stopped.send(SIGINT);
    EXPECT_EQ(stopped.wait(), 130) << stopped.err();
    EXPECT_NE(stopped.err().find("goes on from step "), std::string::npos)
        << stopped.err();
    EXPECT_NE(stopped.err().find("pretraining stopped at step "),
              std::string::npos)
        << stopped.err();
  }
  EXPECT_FALSE(fs::exists(folder_ / "parts" / "model.safetensors"));
  child_process last{command("parts", steps), environment_};
  ASSERT_EQ(last.wait(), 0) << last.err();
  EXPECT_NE(last.out().find("Wrote "), std::string::npos);
  EXPECT_EQ(bytes(folder_ / "whole" / "model.safetensors"),
            bytes(folder_ / "parts" / "model.safetensors"));
  // What was made is not made again.
  child_process again{command("parts", steps), environment_};
  EXPECT_NE(again.wait(), 0);
  EXPECT_NE(again.err().find("expected a folder without a model"),
            std::string::npos)
      << again.err();
}

TEST_F(pretraining_process, says_in_one_line_what_is_wrong) {
  auto wrong = command("out", 10);
  wrong[3] = "/nonexistent/corpus.jsonl";
  child_process missing{wrong, environment_};
  EXPECT_EQ(missing.wait(), 3);
  EXPECT_EQ(std::count(missing.err().begin(), missing.err().end(), '\n'), 1)
      << missing.err();
  EXPECT_NE(missing.err().find("/nonexistent/corpus.jsonl"),
            std::string::npos);
}

}  // namespace
}  // namespace t2::test
