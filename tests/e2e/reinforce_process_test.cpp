// t2 expert train --objective reinforce as a process, on the model that ships:
// killed, it goes on to the same bits.
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

class reinforcing_process : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path{testing::TempDir()} /
              ("t2-reinforce-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream data{folder_ / "sums.jsonl"};
    for (int i = 0; i < 20; ++i) {
      const int a = 15 + 7 * i % 60, b = 18 + 11 * i % 70;
      data << R"({"messages":[{"role":"user","content":"Tim has )" << a
           << " coins. Amy gives Tim " << b
           << R"( more. How many coins does Tim have now?"}],"answer":"#### )"
           << a + b << "\",\"reward\":\"numeric\"}\n";
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<std::string> t2(std::vector<std::string> arguments,
                              const std::string& name) const {
    const auto at = [&](const char* what) {
      return (folder_ / (name + what)).string();
    };
    std::vector<std::string> all{T2_BINARY};
    all.insert(all.end(), arguments.begin(), arguments.end());
    for (const std::string& one :
         {std::string{"--model-path"},
          (tests::source_folder() / "assets/t2-mini").string(),
          std::string{"--store"}, at(".db"), std::string{"--model-svd-cache"},
          (folder_ / "svd").string(), std::string{"--socket"}, at(".sock")})
      all.push_back(one);
    return all;
  }
  std::vector<std::string> training(const std::string& name) const {
    return t2({"expert", "train", "sums", "--objective", "reinforce", "--data",
               (folder_ / "sums.jsonl").string(), "--steps", "8", "--batch",
               "4", "--samples", "4", "--max-answer-tokens", "32",
               "--validation", "0.2", "--validate-every", "4",
               "--checkpoint-every", "2", "--learning-rate", "0.02",
               "--checkpoint", (folder_ / (name + ".checkpoint")).string(),
               "--curves", (folder_ / (name + ".jsonl")).string()},
              name);
  }
  std::string bytes(const std::string& file) const {
    std::ifstream in{folder_ / file, std::ios::binary};
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }
  /// The expert that a run has left in its store.
  std::string expert_of(const std::string& name) const {
    child_process out{t2({"expert", "export", "sums",
                          (folder_ / (name + ".safetensors")).string()},
                         name),
                      environment_};
    EXPECT_EQ(out.wait(), 0) << out.err();
    return bytes(name + ".safetensors");
  }

  fs::path folder_;
  child_process::variables environment_ = {{"HOME", "/nonexistent"}};
};

TEST_F(reinforcing_process, goes_on_after_kill_9_to_the_same_bits) {
  child_process whole{training("whole"), environment_};
  ASSERT_EQ(whole.wait(), 0) << whole.err();
  const auto expected = expert_of("whole");
  ASSERT_GT(expected.size(), 10'000u);
  {
    child_process killed{training("parts"), environment_};
    for (int tries = 0; tries < 6000; ++tries) {
      const auto curves = bytes("parts.jsonl");
      if (std::count(curves.begin(), curves.end(), '\n') >= 4) break;
      ::usleep(5000);
    }
    killed.send(SIGKILL);
    EXPECT_EQ(killed.wait(), 128 + SIGKILL);
  }
  ASSERT_TRUE(fs::exists(folder_ / "parts.checkpoint"));
  child_process last{training("parts"), environment_};
  ASSERT_EQ(last.wait(), 0) << last.err();
  EXPECT_EQ(expert_of("parts"), expected);
}

}  // namespace
}  // namespace t2::test
