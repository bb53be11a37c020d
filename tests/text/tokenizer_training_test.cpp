#include "text/tokenizer_training.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "tests/text/fixtures.hpp"
#include "text/tokenizer.hpp"

namespace t2 {
namespace {

constexpr std::array<std::string_view, 2> specials = {"<|pad|>", "<|end|>"};

const std::vector<std::string_view> texts = {
    "Mina has 12 apples and 7 pears.", "Mina gives 3 apples away.",
    "사과가 열두 개 있다.",            "사과를 세 개 준다.",
    "def f(x):\n    return x + 1\n",   "def g(x):\n    return x * 2\n"};

std::shared_ptr<const tokenizer> trained(
    std::span<const std::string_view> from, int vocabulary) {
  const auto json = train_tokenizer(from, vocabulary, specials);
  EXPECT_TRUE(json) << json.error().message;
  auto made = tokenizer::parse(*json);
  EXPECT_TRUE(made) << made.error().message;
  return *made;
}

TEST(tokenizer_training, gives_specials_then_bytes_then_merges) {
  const auto small = trained(texts, 258);
  EXPECT_EQ(small->vocab_size(), 258);
  EXPECT_EQ(small->token_to_id("<|pad|>"), 0);
  EXPECT_EQ(small->token_to_id("<|end|>"), 1);
  EXPECT_TRUE(small->is_special(1));
  EXPECT_EQ(small->encode("pears", false)->size(), 5u);

  const auto large = trained(texts, 300);
  EXPECT_LT(large->encode("Mina apples", false)->size(), 6u);
  EXPECT_EQ(large->encode("a<|end|>b", false)->at(1), 1);
}

TEST(tokenizer_training, merges_the_commonest_pair_first) {
  // By hand: in "abab abab" and "ab", the pair (a, b) comes five times, more
  // often than any other; one more token than the bytes is "ab".
  const std::vector<std::string_view> ab = {"abab abab", "ab"};
  const auto one = trained(ab, 259);
  EXPECT_EQ(one->token_to_id("ab"), 258);
  EXPECT_EQ(*one->encode("abab", false), (std::vector<token_id>{258, 258}));
}

TEST(tokenizer_training, round_trips_what_it_never_saw) {
  const auto made = trained(texts, 320);
  for (const std::string text :
       {"한국어 문장: 뷁, 값을 구하라!", "emoji 🦜, tabs\tand\r\nlines  \n\n",
        "1234567890", "", " leading and trailing ", "naïve café ﷺ"}) {
    const auto ids = made->encode(text, false);
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(*made->decode(*ids, false), text);
  }
}

TEST(tokenizer_training, keeps_digits_apart) {
  const std::vector<std::string_view> numbers = {"1234 1234 1234 1234"};
  EXPECT_EQ(trained(numbers, 300)->encode("1234", false)->size(), 4u);
}

TEST(tokenizer_training, does_not_depend_on_the_order_of_the_texts) {
  auto turned = texts;
  const auto first = train_tokenizer(texts, 320, specials);
  std::ranges::reverse(turned);
  const auto second = train_tokenizer(turned, 320, specials);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
}

TEST(tokenizer_training, refuses_what_cannot_be_learnt) {
  const auto small = train_tokenizer(texts, 257, specials);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().message,
            "vocabulary: expected at least 258 tokens (special ones and "
            "bytes), found 257");
  const std::vector<std::string_view> wrong = {"good", "\xff\xfe"};
  const auto bytes = train_tokenizer(wrong, 300, specials);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ec::invalid_argument);
}

}  // namespace
}  // namespace t2
