#include "tools/stream_measurement.hpp"

#include <gtest/gtest.h>

namespace t2 {
namespace {

using std::chrono::milliseconds;

const stream_measurement::time_point start{};
const std::string usage =
    R"({"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":3}})";

std::string text(const std::string& piece) {
  return R"({"choices":[{"text":")" + piece + R"(","finish_reason":null}]})";
}
std::string last(const std::string& piece) {
  return R"({"choices":[{"text":")" + piece + R"(","finish_reason":"stop"}]})";
}

/// A stream whose events come 10 ms after each other.
stream_measurement measured(const std::vector<std::string>& events) {
  stream_measurement all(start);
  int at = 0;
  for (const auto& data : events) {
    all.take({.name = "", .data = data}, start + milliseconds(at += 10));
  }
  return all;
}

TEST(stream_measurement, times_the_pieces_of_an_answer) {
  // The second piece is half a character: a token without text.
  const auto found = measured(
      {text("a"), text(""), text("b"), last("c"), usage, "[DONE]"});
  EXPECT_FALSE(found.problem()) << *found.problem();
  EXPECT_EQ(found.text(), "abc");
  EXPECT_NEAR(found.first_token_seconds().value_or(0), 0.010, 1e-9);
  ASSERT_EQ(found.gaps().size(), 2u);
  EXPECT_NEAR(found.gaps()[0], 0.020, 1e-9);
  EXPECT_NEAR(found.gaps()[1], 0.010, 1e-9);
  EXPECT_EQ(found.prompt_tokens(), 4);
  EXPECT_EQ(found.answer_tokens(), 3);
}

TEST(stream_measurement, reads_the_chunks_of_conversations) {
  const auto found = measured(
      {R"({"choices":[{"delta":{"role":"assistant","content":"x"},"finish_reason":null}]})",
       R"({"choices":[{"delta":{},"finish_reason":"stop"}]})", usage,
       "[DONE]"});
  EXPECT_FALSE(found.problem());
  EXPECT_EQ(found.text(), "x");
}

TEST(stream_measurement, wants_every_answer_whole_exactly_once) {
  const auto problem = [](const std::vector<std::string>& events) {
    return measured(events).problem().value_or("");
  };
  EXPECT_EQ(problem({last("a"), usage, "[DONE]"}), "");
  EXPECT_EQ(problem({last("a"), usage}), "expected one [DONE], found 0");
  EXPECT_EQ(problem({last("a"), usage, "[DONE]", "[DONE]"}),
            "an event after [DONE]");
  EXPECT_EQ(problem({text("a"), usage, "[DONE]"}),
            "expected one finish_reason, found 0");
  EXPECT_EQ(problem({last("a"), last("a"), usage, "[DONE]"}),
            "a choice after the finish_reason");
  EXPECT_EQ(problem({last("a"), "[DONE]"}), "expected one usage, found 0");
  EXPECT_EQ(problem({"{", last("a"), usage, "[DONE]"}),
            "an event that is no JSON object");
  EXPECT_EQ(problem({}), "expected one finish_reason, found 0");
  EXPECT_FALSE(measured({}).first_token_seconds());
}

TEST(stream_measurement, keeps_what_the_server_says_went_wrong) {
  const auto found = measured(
      {text("a"),
       R"({"error":{"message":"too late","type":"x","code":"deadline"}})",
       "[DONE]"});
  ASSERT_TRUE(found.failure());
  EXPECT_EQ(found.failure()->code, ec::deadline);
}

}  // namespace
}  // namespace t2
