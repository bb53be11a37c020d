// The quick form of what docs/results.md is made by.
#include <signal.h>

#include "tests/e2e/playground.hpp"

namespace t2::test {
namespace {

using reproducing = playground;

TEST_F(reproducing, the_claims_in_miniature_goes_on_where_it_was_stopped) {
  const std::vector<std::string> arguments = {
      "reproduce", "--quick", "--json",
      "--work", (folder_ / "work").string(),
      "--out", (folder_ / "docs/results.md").string()};
  const auto measurements = folder_ / "work/measurements.jsonl";
  {
    auto first = start_t2(arguments);
    ASSERT_TRUE(first->wait_for("training/math/svf-mlp/")) << first->err();
    first->send(SIGKILL);
    first->wait();
  }
  const auto kept = content(measurements);
  EXPECT_NE(kept.find("training/math/svf/"), std::string::npos);
  const auto whole = t2(arguments);
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(whole.err.find("training/math/svf/"), std::string::npos)
      << "it is not measured again";
  EXPECT_EQ(content(measurements).substr(0, kept.size()), kept);

  const auto page = content(folder_ / "docs/results.md");
  for (const char* part :
       {"## What holds", "## Table 1", "## Table 2", "## Shots", "## Ablation",
        "## Forms of a mixture", "## Pass 1", "## The number of experts",
        "## Shuffled experts", "| math-hard |", "| korean |", "| code-doc |",
        "| reasoning-challenge |"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_NE(page.find("improve on the base (table 1).** Holds here"),
            std::string::npos)
      << page;
  EXPECT_NE(content(folder_ / "docs/results/shots.svg").find("<polyline"),
            std::string::npos);

  // Of another scope.
  const auto other = t2({"reproduce", "--work", (folder_ / "work").string(),
                         "--out", (folder_ / "docs/results.md").string()});
  EXPECT_EQ(other.code, 4) << other.err;
}

}  // namespace
}  // namespace t2::test
