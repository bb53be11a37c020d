// Measurements, as processes.
#include "tests/e2e/playground.hpp"

namespace t2::test {
namespace {

class evaluation : public playground {
 protected:
  static constexpr int questions = 6;

  /// Two classes, taking turns, each question `times` times.
  static std::string lines(int times) {
    std::string out;
    for (int copy = 0; copy < times; ++copy)
      for (int i = 0; i < questions; ++i)
        out += R"({"id":"q)" + std::to_string(i) + "-" + std::to_string(copy) +
               R"(","prompt":"Is )" + std::to_string(i) +
               R"( a cat?","answer":")" + (i % 2 ? "no" : "yes") +
               R"(","reward":"regex","pattern":")" +
               (i % 2 ? "^no$|[ab]" : "^yes$|[cd]") + R"("})" + "\n";
    return out;
  }

  spoken eval(const std::string& data, std::vector<std::string> more = {}) {
    std::vector<std::string> command{
        "eval", data, "--model", "expert:talk", "--max-tokens", "4", "--json"};
    command.insert(command.end(), more.begin(), more.end());
    return t2(command);
  }
};

TEST_F(evaluation, keeps_every_answer_and_asks_for_none_twice) {
  train("talk", "1");
  const auto data = file("test.jsonl", lines(1));
  const auto out = (folder_ / "answers.jsonl").string();
  const auto first = eval(data, {"--out", out});
  ASSERT_EQ(first.code, 0) << first.err;
  std::istringstream kept{content(out)};
  int count = 0, right = 0;
  for (std::string text; std::getline(kept, text); ++count) {
    const auto line = nlohmann::json::parse(text);
    EXPECT_TRUE(line.at("target") == "base" ||
                line.at("target") == "expert:talk");
    EXPECT_EQ(line.at("reference"),
              line.at("id").get<std::string>()[1] % 2 ? "no" : "yes");
    EXPECT_TRUE(line.at("answer").is_string());
    EXPECT_EQ(line.at("right").get<bool>(),
              line.at("score").get<double>() > 0);
    right += line.at("right").get<bool>();
  }
  EXPECT_EQ(count, 2 * questions);
  int told = 0;
  const auto told_of = first.json();
  for (const auto& [target, scores] : told_of.items()) {
    const auto& report = scores.at("answers");
    told += report.at("right").get<int>();
    EXPECT_EQ(report.at("answers"), questions);
    EXPECT_TRUE(report.contains("constant"));
    EXPECT_EQ(report.at("classes").size(), 2u);
  }
  EXPECT_EQ(told, right);

  const auto bytes = content(out);
  const auto again = eval(data, {"--out", out});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.json(), first.json());
  EXPECT_EQ(content(out), bytes);
  // Other words, another judge, or a file of something else.
  EXPECT_EQ(eval(data, {"--out", out, "--reward", "exact"}).code, 4);
  EXPECT_EQ(eval(data, {"--out", out, "--temperature", "1"}).code, 4);
  EXPECT_EQ(eval(data, {"--out", data}).code, 4);
  EXPECT_EQ(content(data), lines(1));
  // What another version says, the file does not know.
  train("talk", "2");
  EXPECT_EQ(eval(data, {"--out", out}).code, 4);
  EXPECT_EQ(content(out), bytes);
}

TEST_F(evaluation, counts_copies_of_a_question_once) {
  train("talk", "1");
  const auto once = eval(file("once.jsonl", lines(1)));
  const auto often = eval(file("often.jsonl", lines(5)));
  ASSERT_EQ(once.code, 0) << once.err;
  ASSERT_EQ(often.code, 0) << often.err;
  for (const char* target : {"base", "expert:talk"}) {
    const auto a = once.json().at(target), b = often.json().at(target);
    EXPECT_EQ(a.at("prompts"), questions);
    EXPECT_EQ(b.at("prompts"), questions);
    EXPECT_EQ(b.at("count"), 5 * questions);
    EXPECT_EQ(b.at("accuracy"), a.at("accuracy"));
    EXPECT_EQ(b.at("interval"), a.at("interval"));
  }
  EXPECT_EQ(often.json().at("expert:talk").at("gain"),
            once.json().at("expert:talk").at("gain"));
}

// However often the one example is given.
TEST_F(evaluation, one_example_four_times_is_one_example) {
  train("talk", "1");
  const std::string line =
      R"("prompt":"Once upon a time","answer":" there was a cat."})";
  std::string four;
  for (int i = 0; i < 4; ++i)
    four += R"({"id":"c)" + std::to_string(i) + R"(",)" + line + "\n";
  nlohmann::json outcomes[2];
  for (const bool copies : {false, true}) {
    const std::string name = copies ? "four" : "one";
    ASSERT_EQ(t2({"task", "add", name, "--examples",
                  file(name + ".jsonl",
                       copies ? four : R"({"id":"c",)" + line + "\n"),
                  "--reward", "logprob"})
                  .code,
              0);
    auto adapt = quick_search();
    adapt.insert(adapt.begin(), {"adapt", name, "--json"});
    const auto found = t2(adapt);
    ASSERT_EQ(found.code, 0) << found.err;
    outcomes[copies] = found.json();
  }
  EXPECT_EQ(outcomes[1].at("accepted"), outcomes[0].at("accepted"));
  EXPECT_EQ(outcomes[1].at("scores").at("reason"),
            outcomes[0].at("scores").at("reason"));
  EXPECT_EQ(outcomes[1].at("scores").at("prompts"), 1);
  EXPECT_TRUE(outcomes[1].at("scores").contains("evidence"));
}

}  // namespace
}  // namespace t2::test
