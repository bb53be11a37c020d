// Text behind other text: what is decoded there, and which ids say it.
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "tests/text/fixtures.hpp"
#include "text/continuation.hpp"
#include "text/detokenizer.hpp"

namespace t2 {
namespace {

using ids = std::vector<token_id>;
using vocabulary_ref = std::shared_ptr<const tokenizer>;

ids operator+(ids a, const ids& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string streamed(detokenizer& reading, const ids& after) {
  std::string text;
  const auto take = [&](const result<std::string>& piece) {
    ASSERT_TRUE(piece) << piece.error().message;
    EXPECT_TRUE(fixtures::is_utf8(*piece)) << "after " << text;
    text += *piece;
  };
  for (const token_id id : after) take(reading.push(id));
  take(reading.finish());
  return text;
}

std::string behind(const vocabulary_ref& vocabulary, const ids& before,
                   const ids& after, bool skip = true) {
  detokenizer reading(vocabulary, skip);
  EXPECT_TRUE(reading.begin_after(before));
  return streamed(reading, after);
}

ids named(const tokenizer& vocabulary,
          std::initializer_list<std::string_view> names) {
  ids out;
  for (const auto name : names) {
    const auto id = vocabulary.token_to_id(name);
    EXPECT_TRUE(id) << name;
    if (id) out.push_back(*id);
  }
  return out;
}

class every_seam : public testing::TestWithParam<std::string> {
 protected:
  vocabulary_ref vocabulary_ = fixtures::load(GetParam());
};

// The definition, by the library that decodes whole sequences.
TEST_P(every_seam, an_answer_is_what_it_adds_to_its_prompt) {
  std::mt19937 random(20261127);
  std::uniform_int_distribution<token_id> any(0, vocabulary_->vocab_size() - 1);
  // Tokens that are pieces of characters sit among the first few hundred.
  std::uniform_int_distribution<token_id> low(0, 511);
  std::uniform_int_distribution<std::size_t> length(0, 8);
  int clear = 0, told_clear = 0;
  for (int round = 0; round < 4000; ++round) {
    ids before(length(random)), after(length(random));
    for (auto* part : {&before, &after})
      for (auto& id : *part) id = round % 2 ? any(random) : low(random);
    SCOPED_TRACE(testing::PrintToString(before) + " " +
                 testing::PrintToString(after));
    const bool skip = round % 3 != 0;
    const auto alone = *vocabulary_->decode(before, skip);
    const auto both = *vocabulary_->decode(before + after, skip);
    const auto said = behind(vocabulary_, before, after, skip);
    if (both.starts_with(alone)) {
      ++clear;
      ASSERT_EQ(said, both.substr(alone.size()));
    }
    // A character that the answer finishes, or a run of bytes that it spoils.
    ASSERT_TRUE(both.ends_with(said)) << said << " of " << both;

    detokenizer telling(vocabulary_, skip);
    const auto told = telling.tell_and_begin_after(before);
    ASSERT_TRUE(told);
    EXPECT_TRUE(fixtures::is_utf8(*told));
    const auto rest = streamed(telling, after);
    ASSERT_TRUE(both.ends_with(rest)) << rest << " of " << both;
    if (both.starts_with(alone) && *told == alone) {
      ++told_clear;
      ASSERT_EQ(*told + rest, both);
    }
  }
  EXPECT_GT(clear, 3000);
  EXPECT_GT(told_clear, 2500);
}

TEST_P(every_seam, a_text_cut_anywhere_is_whole_again) {
  for (const auto& record : fixtures::golden()["tokenizers"][GetParam()]) {
    const auto all = record["ids_special"].get<ids>();
    const auto whole = record["decoded"].get<std::string>();
    for (std::size_t cut = 0; cut <= all.size(); ++cut) {
      const auto place = all.begin() + static_cast<std::ptrdiff_t>(cut);
      detokenizer telling(vocabulary_);
      const auto told = telling.tell_and_begin_after(ids(all.begin(), place));
      ASSERT_TRUE(told);
      ASSERT_EQ(*told + streamed(telling, ids(place, all.end())), whole)
          << "cut at " << cut;
    }
  }
}

TEST_P(every_seam, is_what_transformers_gives) {
  std::ifstream in(tests::assets() / "seam_golden.json");
  for (const auto& row : nlohmann::json::parse(in)) {
    if (row["tokenizer"] != GetParam() || row["text"].is_null()) continue;
    SCOPED_TRACE(row.dump());
    EXPECT_EQ(behind(vocabulary_, row["prompt_ids"].get<ids>(),
                     row["answer_ids"].get<ids>()),
              row["text"].get<std::string>());
  }
}

TEST_P(every_seam, forgets_what_came_before_and_skips_rows_without_a_token) {
  detokenizer reading(vocabulary_);
  const auto word = *vocabulary_->encode("one two", false);
  ASSERT_TRUE(reading.push(word.front()));
  ASSERT_TRUE(reading.begin_after({}));
  EXPECT_EQ(streamed(reading, word), *vocabulary_->decode(word, true));
  EXPECT_EQ(behind(vocabulary_, {vocabulary_->vocab_size() + 5}, word),
            *vocabulary_->decode(word, true));
  const auto refused = reading.begin_after(ids{-1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::invalid_argument);
}

const std::vector<std::string>& words() {
  static const std::vector<std::string> all{
      "Paris",   " Paris.",  "  two spaces", "t sat",     "\n",
      "\n\nab",  "\tx = 1",  "\u00e9t\u00e9", "\U0001f355\U0001f355 ok",
      " \U0001f355", "4",    " 4 2",         ")",         ". And",
      "    return 1\n\n", " ", "a", "aa", "12", "1.5"};
  return all;
}

// By the library's decoding of both as one.
TEST_P(every_seam, a_continuation_says_the_text_and_nothing_else) {
  for (const std::string before :
       {"The capital of France is", "The capital of France is ", "the ca",
        "def f():\n", "a\n\n", "x = ", "\U0001f355", "tab\t", "caf\u00e9"})
    for (const auto& text : words()) {
      SCOPED_TRACE("'" + before + "' '" + text + "'");
      const auto prompt = *vocabulary_->encode(before, true);
      const auto after = continuation(vocabulary_, prompt, text);
      ASSERT_TRUE(after) << after.error().message;
      EXPECT_EQ(*vocabulary_->decode(prompt + *after, true),
                *vocabulary_->decode(prompt, true) + text);
    }
}

TEST_P(every_seam, a_continuation_keeps_special_tokens_that_are_written_out) {
  const auto end = GetParam() == "smollm2"            ? "<|im_end|>"
                   : GetParam() == "llama3-tokenizer" ? "<|eot_id|>"
                                                      : "</s>";
  const auto after = continuation(
      vocabulary_, *vocabulary_->encode("The ", true), "end" + std::string{end});
  ASSERT_TRUE(after);
  EXPECT_EQ(after->back(), *vocabulary_->token_to_id(end));
}

INSTANTIATE_TEST_SUITE_P(, every_seam,
                         testing::ValuesIn(fixtures::tokenizer_names()),
                         [](const auto& tested) {
                           auto name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(seam, a_word_behind_a_prompt_keeps_its_space) {
  const auto known = fixtures::load("mistral-tokenizer");
  const auto prompt = *known->encode("The capital of France is", true);
  const auto word = named(*known, {"\u2581Paris"});
  EXPECT_EQ(behind(known, prompt, word), " Paris");
  // Behind nothing but <s> the text begins, and a text begins without it.
  EXPECT_EQ(behind(known, {1}, word), "Paris");
  EXPECT_EQ(behind(known, {}, word), "Paris");
  EXPECT_EQ(behind(known, prompt + named(*known, {"[/INST]"}), word), " Paris");
}

TEST(seam, bytes_of_a_prompt_are_the_prompt_s) {
  const auto known = fixtures::load("mistral-tokenizer");
  const auto line = named(*known, {"a", "<0x0A>"});
  EXPECT_EQ(behind(known, line, named(*known, {"<0x0A>", "b"})), "\nb");
  EXPECT_EQ(behind(known, line, named(*known, {"\u2581Paris"})), " Paris");
  EXPECT_EQ(behind(known, named(*known, {"<0x0A>"}),
                   named(*known, {"\u2581Paris"})),
            " Paris");
  // An answer that is no UTF-8 is its own fault.
  EXPECT_EQ(behind(known, line, named(*known, {"<0xFF>", "b"})), "\uFFFDb");
}

TEST(seam, a_character_that_the_answer_finishes_is_the_answer_s) {
  const auto known = fixtures::load("mistral-tokenizer");
  const auto half = named(*known, {"a", "<0xF0>", "<0x9F>"});
  const auto rest = named(*known, {"<0x8D>", "<0x95>", "b"});
  EXPECT_EQ(behind(known, half, rest), "\U0001f355b");
  // One that it does not finish was told with the prompt, as U+FFFD ...
  EXPECT_EQ(*known->decode(half, true), "a\uFFFD\uFFFD");
  EXPECT_EQ(behind(known, half, named(*known, {"b"})), "b");
  // ... or is left to the answer where both are told together.
  detokenizer telling(known);
  EXPECT_EQ(*telling.tell_and_begin_after(half), "a");
  EXPECT_EQ(streamed(telling, named(*known, {"b"})), "\uFFFD\uFFFDb");
  // The same in the alphabet of byte-level tokenizers.
  const auto bytes = fixtures::load("smollm2");
  const auto pizza = *bytes->encode("\U0001f355", false);
  ASSERT_EQ(pizza.size(), 3u);
  const auto b = *bytes->encode("b", false);
  EXPECT_EQ(behind(bytes, {pizza[0]}, ids{pizza[1], pizza[2]} + b),
            "\U0001f355b");
  EXPECT_EQ(behind(bytes, {pizza[0], pizza[1]}, b), "b");
  EXPECT_EQ(behind(bytes, {pizza[0]}, ids{pizza[1]} + b), "b");
  EXPECT_EQ(behind(bytes, {pizza[0]}, pizza), "\U0001f355");
}

// ByteLevel's add_prefix_space opens each text with a space.
TEST(seam, a_continuation_has_no_opening_of_its_own) {
  const auto known = tokenizer::parse(R"({"added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true,
                      "trim_offsets": true, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel", "add_prefix_space": true,
                "trim_offsets": true, "use_regex": true},
    "model": {"type": "BPE", "merges": ["\u0120 a", "a b", "\u010a \u010a"],
      "vocab": {"a": 0, "b": 1, "\u0120": 2, "\u010a": 3, "\u0120a": 4,
                "ab": 5, "\u010a\u010a": 6, ".": 7, "1": 8}}})");
  ASSERT_TRUE(known) << known.error().message;
  EXPECT_EQ(*(*known)->encode("ab", false), (ids{4, 1}));
  for (const std::string text : {"ab", " ab", "\nab", "\n\nab", "b", ".a"}) {
    const auto prompt = *(*known)->encode("ab\n", false);
    const auto after = continuation(*known, prompt, text);
    ASSERT_TRUE(after);
    EXPECT_EQ(behind(*known, prompt, *after), text);
  }
  EXPECT_EQ(*continuation(*known, ids{3}, "ab"), ids{5});
}

// What a normalizer changes stays changed, and costs no space either.
TEST(seam, a_continuation_is_what_the_normalizer_makes_of_it) {
  const auto known = tokenizer::parse(R"({"added_tokens": [],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"},
      {"type": "Prepend", "prepend": "_"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "_"}]},
    "pre_tokenizer": null, "post_processor": null,
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "_"}, "content": " "},
      {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "merges": ["_ a"],
      "vocab": {"a": 0, "b": 1, "_": 2, "\n": 3, "_a": 4}}})");
  ASSERT_TRUE(known) << known.error().message;
  EXPECT_EQ(*continuation(*known, ids{4, 2}, "AB"), (ids{0, 1}));
  EXPECT_EQ(*continuation(*known, ids{4, 1}, " AB"), (ids{4, 1}));
}

}  // namespace
}  // namespace t2
