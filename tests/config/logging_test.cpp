#include "config/logging.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>
#include <thread>

#include "tests/config/scratch_folder.hpp"

namespace t2 {
namespace {

std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Back to standard error when a test ends.
struct log_to : test::scratch_folder {
  std::string file = (path() / "t2.log").string();
  explicit log_to(std::string_view level) {
    const auto started = start_logging(level, file);
    EXPECT_TRUE(started);
  }
  ~log_to() { (void)static_cast<bool>(start_logging("warn", "")); }
};

TEST(logging, writes_one_line_a_message) {
  const log_to target("info");
  log(log_level::info, "loaded the model");
  log(log_level::warn, "a name\nwith \x1b[31m escapes {} {0}");
  const auto lines = lines_of(target.file);
  ASSERT_EQ(lines.size(), 2u);
  const std::regex form(
      R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} info loaded the model)");
  EXPECT_TRUE(std::regex_match(lines[0], form)) << lines[0];
  EXPECT_TRUE(
      lines[1].ends_with(R"(warning a name\nwith \x1b[31m escapes {} {0})"))
      << lines[1];
}

TEST(logging, leaves_out_what_is_below_the_level) {
  const log_to target("warn");
  log(log_level::info, "no");
  log(log_level::off, "never");
  log(log_level::error, "yes");
  EXPECT_FALSE(log_enabled(log_level::info));
  EXPECT_TRUE(log_enabled(log_level::warn));
  EXPECT_EQ(lines_of(target.file).size(), 1u);
}

TEST(logging, threads_do_not_mix_their_lines) {
  const log_to target("info");
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([t] {
      for (int i = 0; i < 250; ++i) {
        log(log_level::info, std::string(40, static_cast<char>('a' + t)));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  const auto lines = lines_of(target.file);
  ASSERT_EQ(lines.size(), 1000u);
  const std::regex form(R"(\S+ info ([a-d])\1{39})");
  for (const auto& line : lines) EXPECT_TRUE(std::regex_match(line, form));
}

TEST(logging, refuses_a_level_or_a_file_that_cannot_be) {
  const auto level = start_logging("loud", "");
  ASSERT_FALSE(level);
  EXPECT_EQ(level.error().code, ec::invalid_argument);
  const auto file = start_logging("info", "/proc/no/such/t2.log");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ec::io);
}

}  // namespace
}  // namespace t2
