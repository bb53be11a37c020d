#include "tools/answer_log.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/http/temporary_folder.hpp"

namespace t2 {
namespace {

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(answer_log, keeps_an_answer_of_each_target_to_a_line) {
  const test::temporary_folder folder;
  const auto file = folder / "answers.jsonl";
  {
    auto log = answer_log::open(file);
    ASSERT_TRUE(log) << log.error().message;
    for (const char* target : {"base", "expert:a", ""}) {
      ordered_json line = {{"id", "1"}, {"answer", target}};
      if (*target != '\0') line["target"] = target;
      ASSERT_TRUE(log->append(line));
    }
    EXPECT_FALSE(answer_log::open(file)) << "one process at a time";
    ASSERT_TRUE(log->sync());
  }
  std::ofstream(file, std::ios::app) << R"({"id":"2","tar)";  // killed here
  const auto log = answer_log::open(file);
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_EQ(log->lines().size(), 3u);
  for (const char* target : {"base", "expert:a", ""})
    EXPECT_EQ(log->lines().at(answer_log::key_of("1", target)).at("answer"),
              target);
  EXPECT_EQ(content(file).find("tar\n"), std::string::npos);
}

TEST(answer_log, leaves_a_file_of_something_else_as_it_is) {
  const test::temporary_folder folder;
  const auto file = folder / "notes.txt";
  std::ofstream(file) << "dear diary\nno more\n";
  const auto log = answer_log::open(file);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ec::corrupt);
  EXPECT_EQ(content(file), "dear diary\nno more\n");
}

}  // namespace
}  // namespace t2
