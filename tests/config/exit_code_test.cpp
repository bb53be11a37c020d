#include "config/exit_code.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include "tests/paths.hpp"

namespace t2 {
namespace {

TEST(exit_code, is_what_the_documentation_promises) {
  // Rows of docs/formats.md: | 3 | `not_found` | ...
  std::ifstream in(tests::source_folder() / "docs/formats.md");
  std::map<std::string, int> promised;
  bool in_section = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) in_section = line == "## Exit codes";
    if (!in_section || !line.starts_with("| ")) continue;
    std::istringstream row(line.substr(2));
    int code = -1;
    if (!(row >> code)) continue;
    for (std::string word; row >> word;) {
      if (word.front() == '`') {
        promised[word.substr(1, word.rfind('`') - 1)] =
            code;  // a comma may follow
      }
    }
  }
  for (int i = 1; i <= static_cast<int>(ec::internal); ++i) {
    const auto code = static_cast<ec>(i);
    const std::string name(to_string(code));
    ASSERT_TRUE(promised.contains(name)) << name;
    EXPECT_EQ(to_int(exit_code_of(code)), promised[name]) << name;
    EXPECT_NE(exit_code_of(code), exit_code::ok) << name;
  }
  EXPECT_EQ(exit_code_of(ec::none), exit_code::ok);
}

}  // namespace
}  // namespace t2
