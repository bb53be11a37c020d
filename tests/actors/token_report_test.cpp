#include "actors/token_report.hpp"

#include <gtest/gtest.h>

#include "engine/answer.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

std::shared_ptr<const tokenizer> words() {
  auto loaded = tokenizer::load(tests::assets() / "stories260k-hf");
  EXPECT_TRUE(loaded) << loaded.error().message;
  return *loaded;
}

/// What an engine would say of these tokens, and what is reported of them.
struct reported {
  std::string text;                     // of all events
  std::vector<answer_token> tokens;     // of all events
  std::vector<std::size_t> told_after;  // tokens told up to each event
  bool stopped = false;
};

reported run(const std::vector<token_id>& ids, std::vector<std::string> stop) {
  const auto vocabulary = words();
  answer engine_text(vocabulary, std::move(stop));
  token_report report(vocabulary);
  reported out;
  for (std::size_t i = 0; i < ids.size() && !out.stopped; ++i) {
    auto piece = engine_text.push(ids[i]);
    EXPECT_TRUE(piece);
    generation_event event;
    event.text = piece->text;
    event.tokens = {{ids[i], -0.5f, {{ids[i], -0.5f}}}};
    out.stopped = piece->stopped;
    if (piece->stopped) event.finished = finish_reason::stop;
    if (!piece->stopped && i + 1 == ids.size()) {
      event.text += *engine_text.finish();
      event.finished = finish_reason::length;
    }
    out.text += event.text;
    const auto told = report.on(event);
    EXPECT_TRUE(told);
    out.tokens.insert(out.tokens.end(), told->begin(), told->end());
    out.told_after.push_back(out.tokens.size());
  }
  return out;
}

TEST(token_report, tells_every_token_with_its_bytes_and_its_place) {
  const auto ids = *words()->encode("Once upon a time, caf\xC3\xA9 \xF0\x9F\x98\x80.", false);
  const auto got = run(ids, {});
  ASSERT_EQ(got.tokens.size(), ids.size());
  std::string bytes;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    bytes += got.tokens[i].bytes;
    EXPECT_EQ(got.tokens[i].log_probability, -0.5);
    ASSERT_EQ(got.tokens[i].alternatives.size(), 1u);
    EXPECT_EQ(got.tokens[i].alternatives[0].first, got.tokens[i].bytes);
    if (i > 0) {
      EXPECT_GE(got.tokens[i].text_offset, got.tokens[i - 1].text_offset);
    }
  }
  // A text's start loses the space that its first token has.
  EXPECT_EQ(bytes, " " + got.text);
  EXPECT_EQ(got.tokens.front().text_offset, 0);
  // 22 letters and one emoji before the point: characters, not bytes.
  EXPECT_EQ(got.tokens.back().text_offset, 24);
}

// A model may have more rows than its tokenizer has tokens.
TEST(token_report, a_row_without_a_token_has_no_text) {
  const auto ids = *words()->encode("Once upon", false);
  auto padded = ids;
  padded.insert(padded.begin() + 1, words()->vocab_size() + 3);
  const auto got = run(padded, {});
  EXPECT_EQ(got.text, run(ids, {}).text);
  ASSERT_EQ(got.tokens.size(), padded.size());
  EXPECT_EQ(got.tokens[1].bytes, "");
}

TEST(token_report, tells_nothing_behind_a_stop_text) {
  const auto ids = *words()->encode("Once upon a time there was a cat", false);
  const auto got = run(ids, {" time"});
  ASSERT_TRUE(got.stopped);
  EXPECT_EQ(got.text, "Once upon a");
  std::string bytes;
  for (const auto& token : got.tokens) bytes += token.bytes;
  EXPECT_EQ(bytes, " Once upon a");
}

TEST(token_report, knows_where_a_token_begins_behind_bytes_that_waited) {
  const auto ids = *words()->encode("a \xF0\x9F\x98\x80.", false);
  const auto got = run(ids, {"."});
  ASSERT_TRUE(got.stopped);
  EXPECT_EQ(got.text, "a \xF0\x9F\x98\x80");
  EXPECT_EQ(got.tokens.size(), ids.size() - 1);
}

TEST(token_report, waits_with_a_token_as_long_as_its_text_waits) {
  // "time" might be going on to the stop text, and does not.
  const auto ids = *words()->encode("a time for", false);
  const auto got = run(ids, {" time machine"});
  EXPECT_EQ(got.tokens.size(), ids.size());
  EXPECT_EQ(got.text, "a time for");
  EXPECT_LT(got.told_after[got.told_after.size() - 2], ids.size() - 1);
}

}  // namespace
}  // namespace t2
