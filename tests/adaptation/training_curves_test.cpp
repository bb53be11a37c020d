#include "adaptation/training_curves.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "tests/adaptation/stories_model.hpp"

namespace t2 {
namespace {

using nlohmann::ordered_json;

ordered_json report(int step, double reward) {
  return {{"step", step},         {"steps", 9},
          {"loss", -reward},      {"validation_loss", 0.5},
          {"reward", reward},     {"kl", 0.01 * step},
          {"gradient_norm", 0.2}, {"learning_rate", 1e-3}};
}

std::string content(const std::filesystem::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Every element that opens also closes, in order.
bool well_formed(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = 0; (at = xml.find('<', at)) != std::string::npos;) {
    const auto end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const auto tag = xml.substr(at + 1, end - at - 1);
    at = end;
    if (std::ranges::count(tag, '"') % 2 != 0 ||
        tag.find('<') != std::string::npos)
      return false;
    if (tag.back() == '/') continue;
    const auto name = tag.substr(0, tag.find(' '));
    if (name.front() != '/') {
      open.push_back(name);
    } else {
      if (open.empty() || "/" + open.back() != name) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

TEST(training_curves, are_lines_and_a_plot) {
  const auto file = scratch_folder() / "curves.jsonl";
  auto curves = training_curves::open(file);
  ASSERT_TRUE(curves) << curves.error().message;
  for (int step = 0; step <= 5; ++step)
    curves->add(report(step, 0.1 * step - 0.2));
  ASSERT_TRUE(curves->finish());
  const auto lines = content(file);
  EXPECT_EQ(std::ranges::count(lines, '\n'), 6);
  EXPECT_EQ(ordered_json::parse(lines.substr(0, lines.find('\n'))),
            report(0, -0.2));
  const auto plot = content(scratch_folder() / "curves.svg");
  EXPECT_TRUE(well_formed(plot)) << plot;
  EXPECT_NE(plot.find("reward (mean of a step)"), std::string::npos);
  EXPECT_NE(plot.find(">step<"), std::string::npos);
  // Ticks of the reward, which goes from -0.1 to 0.3, and of the steps.
  for (const char* tick : {">0<", ">0.2<", ">1<", ">5<"})
    EXPECT_NE(plot.find(tick), std::string::npos) << tick;
}

TEST(training_curves, of_a_run_that_goes_on_replace_what_it_repeats) {
  const auto file = scratch_folder() / "resumed.jsonl";
  auto first = training_curves::open(file);
  ASSERT_TRUE(first);
  for (int step = 0; step <= 5; ++step) first->add(report(step, 1));
  auto second = training_curves::open(file);
  ASSERT_TRUE(second);
  for (int step = 4; step <= 6; ++step) second->add(report(step, 2));
  ASSERT_TRUE(second->finish());
  std::string expected;
  for (int step = 0; step <= 6; ++step)
    expected += report(step, step < 4 ? 1 : 2).dump() + "\n";
  EXPECT_EQ(content(file), expected);
}

TEST(training_curves, leave_a_file_alone_that_is_something_else) {
  const auto file = scratch_folder() / "notes.txt";
  std::ofstream{file} << "{\"prompt\": \"mine\"}\n";
  const auto opened = training_curves::open(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ec::invalid_argument);
  EXPECT_FALSE(training_curves::open("plot.svg"));
}

}  // namespace
}  // namespace t2
