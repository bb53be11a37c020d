#include "text/detokenizer.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/text/fixtures.hpp"

namespace t2 {
namespace {

using ids = std::vector<token_id>;

/// The pieces joined; every one of them is checked to be UTF-8 by itself.
std::string streamed(const std::shared_ptr<const tokenizer>& vocabulary,
                     const ids& stream, bool skip_special_tokens) {
  detokenizer detokenize(vocabulary, skip_special_tokens);
  std::string text;
  auto take = [&](const result<std::string>& piece) {
    ASSERT_TRUE(piece) << piece.error().message;
    EXPECT_TRUE(fixtures::is_utf8(*piece)) << "after " << text;
    text += *piece;
  };
  for (const token_id id : stream) take(detokenize.push(id));
  take(detokenize.finish());
  return text;
}

class every_detokenizer : public testing::TestWithParam<std::string> {};

TEST_P(every_detokenizer, streams_what_decode_gives_for_every_golden_string) {
  const auto vocabulary = fixtures::load(GetParam());
  for (const auto& record : fixtures::golden()["tokenizers"][GetParam()]) {
    SCOPED_TRACE(record.dump());
    const auto stream = record["ids_special"].get<ids>();
    EXPECT_EQ(streamed(vocabulary, stream, true),
              record["decoded"].get<std::string>());
    EXPECT_EQ(streamed(vocabulary, stream, false),
              *vocabulary->decode(stream, false));
  }
}

TEST_P(every_detokenizer, streams_what_decode_gives_for_random_ids) {
  const auto vocabulary = fixtures::load(GetParam());
  std::mt19937 random(20250106);
  std::uniform_int_distribution<token_id> any(0, vocabulary->vocab_size() - 1);
  // Tokens that are pieces of characters sit among the first few hundred.
  std::uniform_int_distribution<token_id> low(0, 511);
  std::uniform_int_distribution<std::size_t> length(0, 60);
  for (int round = 0; round < 1000; ++round) {
    ids stream(length(random));
    for (auto& id : stream) id = round % 2 ? any(random) : low(random);
    const bool skip = round % 3 != 0;
    ASSERT_EQ(streamed(vocabulary, stream, skip),
              *vocabulary->decode(stream, skip))
        << testing::PrintToString(stream);
  }
}

TEST_P(every_detokenizer, streams_random_bytes_of_text_cut_anywhere) {
  const auto vocabulary = fixtures::load(GetParam());
  std::mt19937 random(7);
  for (const auto& record : fixtures::golden()["tokenizers"][GetParam()]) {
    auto stream = record["ids_special"].get<ids>();
    if (stream.empty()) continue;
    std::uniform_int_distribution<std::size_t> place(0, stream.size() - 1);
    const auto cut = static_cast<std::ptrdiff_t>(place(random));
    std::rotate(stream.begin(), stream.begin() + cut, stream.end());
    stream.pop_back();
    ASSERT_EQ(streamed(vocabulary, stream, true),
              *vocabulary->decode(stream, true));
  }
}

TEST_P(every_detokenizer, starts_anew_after_its_end) {
  const auto vocabulary = fixtures::load(GetParam());
  const auto stream = *vocabulary->encode(" two words", false);
  detokenizer detokenize(vocabulary);
  std::vector<std::string> texts;
  for (int round = 0; round < 2; ++round) {
    std::string text;
    for (const token_id id : stream) text += *detokenize.push(id);
    texts.push_back(text + *detokenize.finish());
  }
  EXPECT_EQ(texts[0], *vocabulary->decode(stream, true));
  EXPECT_EQ(texts[0], texts[1]);
}

TEST_P(every_detokenizer, refuses_an_unknown_id_and_goes_on) {
  const auto vocabulary = fixtures::load(GetParam());
  const auto stream = *vocabulary->encode("héllo 한글 🏳️", false);
  detokenizer detokenize(vocabulary);
  std::string text;
  for (const token_id id : stream) {
    const auto refused = detokenize.push(vocabulary->vocab_size());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ec::invalid_argument);
    text += *detokenize.push(id);
  }
  text += *detokenize.finish();
  EXPECT_EQ(text, *vocabulary->decode(stream, true));
}

INSTANTIATE_TEST_SUITE_P(
    , every_detokenizer, testing::ValuesIn(fixtures::tokenizer_names()),
    [](const auto& tested) {
      auto name = tested.param;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(detokenizer, gives_words_as_soon_as_they_are_complete) {
  const auto vocabulary = fixtures::load("smollm2");
  const auto stream = *vocabulary->encode("One two three", false);
  detokenizer detokenize(vocabulary);
  for (const token_id id : stream)
    EXPECT_EQ(*detokenize.push(id), *vocabulary->decode(ids{id}, true));
  EXPECT_EQ(*detokenize.finish(), "");
}

TEST(detokenizer, holds_back_only_the_bytes_of_an_unfinished_character) {
  const auto vocabulary = fixtures::load("mistral-tokenizer");
  detokenizer detokenize(vocabulary);
  auto byte = [&](const char* name) {
    return *detokenize.push(*vocabulary->token_to_id(name));
  };
  EXPECT_EQ(byte("a"), "a");
  EXPECT_EQ(byte("<0xF0>"), "");
  EXPECT_EQ(byte("<0x9F>"), "");
  EXPECT_EQ(byte("<0x8D>"), "");
  EXPECT_EQ(byte("<0x95>"), "");
  EXPECT_EQ(byte("b"), "🍕b");
  EXPECT_EQ(byte("<0xF0>"), "");
  EXPECT_EQ(*detokenize.finish(), "\uFFFD");
}

/// A long run of half characters must cost the same per token at its end as at
/// its start; a quadratic detokenizer would not come back in a test's life.
TEST(detokenizer, does_not_slow_down_over_a_million_half_characters) {
  const auto vocabulary = fixtures::load("smollm2");
  token_id half = -1;
  for (token_id id = 0; id < vocabulary->vocab_size() && half < 0; ++id)
    if (*vocabulary->decode(ids{id}, false) == "\uFFFD" &&
        *vocabulary->decode(ids{id, id}, false) == "\uFFFD\uFFFD")
      half = id;
  ASSERT_GE(half, 0);
  detokenizer detokenize(vocabulary);
  std::size_t bytes = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const auto piece = detokenize.push(half);
    ASSERT_TRUE(piece);
    ASSERT_LE(piece->size(), 3u);
    bytes += piece->size();
  }
  bytes += detokenize.finish()->size();
  EXPECT_EQ(bytes, 3'000'000u);
}

}  // namespace
}  // namespace t2
