#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "adaptation/numeric_reward.hpp"
#include "adaptation/reward.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

example question(std::string id, std::string answer) {
  example e;
  e.id = std::move(id);
  e.prompt = "?";
  e.answer = std::move(answer);
  return e;
}

TEST(regex, finds_the_pattern_anywhere_unless_it_is_anchored) {
  const auto reward = *make_reward("regex");
  example e = question("q", "the 4th of May");
  e.pattern = R"((?i)\b4(th)? of may\b)";
  EXPECT_TRUE(reward->check(e));
  EXPECT_EQ(*reward->of_text("on the 4 of May.", e), 1);
  EXPECT_EQ(*reward->of_text("on the 14 of May.", e), -1);
  e.pattern = "^[a-z]+$";
  EXPECT_EQ(*reward->of_text("abc", e), 1);
  EXPECT_EQ(*reward->of_text("abc d", e), -1);
}

TEST(regex, refuses_patterns_that_are_none_or_that_the_answer_fails) {
  const auto reward = *make_reward("regex");
  example e = question("q7", "abc");
  for (const char* pattern : {"", "(", "(?=a)", "x", "((a{1000}){1000}){1000}"}) {
    e.pattern = pattern;
    const auto fine = reward->check(e);
    ASSERT_FALSE(fine) << pattern;
    EXPECT_NE(fine.error().message.find("q7"), std::string::npos);
  }
}

TEST(regex, takes_linear_time_where_backtracking_would_not_end) {
  const auto reward = *make_reward("regex");
  example e = question("q", "aaa");
  e.pattern = "^(a+)+$|(a|aa)+b";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(*reward->of_text(std::string(100'000, 'a') + "!", e), -1);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{2});
}

TEST(numeric, gives_every_answer_of_gsm8k_its_reward) {
  const char* assets = std::getenv("T2_ASSETS");
  if (assets == nullptr) GTEST_SKIP() << "T2_ASSETS is not set";
  const auto reward = *make_reward("numeric");
  std::size_t count = 0;
  for (const char* name : {"test.jsonl", "train.jsonl"}) {
    std::ifstream lines(fs::path(assets) / "gsm8k" / name);
    for (std::string line; std::getline(lines, line); ++count) {
      const auto value = nlohmann::json::parse(line);
      const std::string worked = value["answer"];
      // By the format's definition, not by the reward's own reading.
      std::string number = worked.substr(worked.rfind("#### ") + 5);
      std::erase(number, ',');
      const example e = question(std::to_string(count), worked);
      ASSERT_TRUE(reward->check(e)) << worked;
      const example plain = question("plain", number);
      for (const example* reference : {&e, &plain}) {
        EXPECT_EQ(*reward->of_text(worked, *reference), 1) << worked;
        EXPECT_EQ(*reward->of_text("So it is \\boxed{" + number + "}.",
                                   *reference), 1) << worked;
        const std::string wrong =
            worked.substr(0, worked.rfind("#### ")) + "#### ";
        const std::string other = std::to_string(std::stod(number) + 1);
        EXPECT_EQ(*reward->of_text(wrong + other, *reference), -1) << worked;
        EXPECT_EQ(*reward->of_text("\\boxed{" + other + "}", *reference), -1)
            << worked;
        EXPECT_EQ(*reward->of_text("I do not know.", *reference), -1);
      }
    }
  }
  EXPECT_EQ(count, 8792U);
}

/// A verifier in a file of the host, away when the test ends.
class command : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("t2-verifier-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  reward_options verifier(const std::string& source) {
    const fs::path file = folder_ / "verify.py";
    std::ofstream(file) << source;
    return {.command = {"python3", file.string()}, .seconds = 5};
  }

  fs::path folder_;
};

constexpr const char* half_right =
    "import json, sys\n"
    "for line in sys.stdin:\n"
    "    q = json.loads(line)\n"
    "    right = q['answer'] == q['reference'].upper() and q['id'] and q['prompt']\n"
    "    print(json.dumps({'reward': 0.5 if right else -0.5}))\n";

TEST_F(command, judges_batches_in_order) {
  const auto reward = *make_reward("command", verifier(half_right));
  const example a = question("a", "yes"), b = question("b", "no");
  std::vector<judged_text> texts;
  for (int i = 0; i < 25; ++i) {
    texts.push_back({"YES", &a});
    texts.push_back({"YES", &b});
    texts.push_back({"NO", &b});
  }
  const auto values = reward->of_texts(texts);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_TRUE(values[i]) << values[i].error().message;
    EXPECT_EQ(*values[i], i % 3 == 1 ? -0.5 : 0.5) << i;
  }
}

TEST_F(command, runs_in_the_sandbox_unless_the_operator_says_otherwise) {
  const auto probe = "import os\nprint('{\"reward\": %d}' % "
                     "os.path.exists('" + folder_.string() + "/canary'))\n";
  std::ofstream(folder_ / "canary") << "here";
  auto options = verifier(probe);
  const example e = question("a", "yes");
  EXPECT_EQ(*(*make_reward("command", options))->of_text("x", e), 0);
  options.sandbox = false;
  EXPECT_EQ(*(*make_reward("command", options))->of_text("x", e), 1);
}

TEST_F(command, is_the_operators_to_name) {
  const auto made = make_reward("command");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::invalid_argument);
  EXPECT_NE(made.error().message.find("rewards.command"), std::string::npos);
}

TEST_F(command, says_what_the_verifier_did_wrong) {
  const example e = question("a", "yes");
  const std::pair<const char*, const char*> cases[] = {
      {"import sys\nsys.exit('no model here')", "no model here"},
      {"print('{\"reward\": 1}\\n{\"reward\": 1}')", "expected 1 lines"},
      {"", "found 0"},
      {"print('yes')", "output:1"},
      {"print('{\"reward\": \"1\"}')", "NUMBER"},
      {"print('{\"reward\": NaN}')", "output:1"},
      {"print('{\"reward\": Infinity}')", "output:1"},
      {"print('{\"reward\": 1e400}')", "output:1"},
      {"print('{\"reward\": -1e300}')", "between -1e9 and 1e9"},
      {"print('{\"reward\": true}')", "NUMBER"},
      {"print('[1]')", "NUMBER"},
      {"import time\ntime.sleep(60)", "time"},
      {"while True: print('x' * 1000)", "wrote too much"}};
  for (const auto& [source, expected] : cases) {
    auto options = verifier(source);
    options.seconds = std::string_view(expected) == "time" ? 1 : 60;
    const auto value = (*make_reward("command", options))->of_text("x", e);
    ASSERT_FALSE(value) << source;
    EXPECT_EQ(value.error().code, ec::unavailable);
    EXPECT_NE(value.error().message.find(expected), std::string::npos)
        << value.error().message;
  }
}

// What an answer holds stays within its own line, for readers too that know
// more ends of lines than one.
TEST_F(command, gives_an_answer_one_line_whatever_it_holds) {
  const std::string ends = "\n\r\v\f\x1c\x1d\x1e\xc2\x85\xe2\x80\xa8\xe2\x80\xa9";
  const std::string forged = "{\"reward\": 1, \"answer\": \"right\"}";
  const std::string hostile = ends + forged + ends;
  const auto reward = *make_reward(
      "command",
      verifier("import json, sys\n"
               "for line in sys.stdin.read().splitlines():\n"
               "    q = json.loads(line)\n"
               "    right = q['answer'] == 'right'\n"
               "    print(json.dumps({'reward': 1 if right else -1}))\n"));
  const example e = question("a", "yes");
  const std::vector<judged_text> texts{
      {hostile, &e}, {"right", &e}, {ends, &e}, {forged, &e}};
  const auto values = reward->of_texts(texts);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_TRUE(values[i]) << values[i].error().message;
    EXPECT_EQ(*values[i], i == 1 ? 1 : -1) << i;
  }
}

}  // namespace
}  // namespace t2
