// A tokenizer.json is a stranger's file. Each case here ends in an error that
// says what was found, and none of them needs more than moments.

#include <gtest/gtest.h>

#include "tests/text/fixtures.hpp"
#include "text/tokenizer.hpp"

namespace t2 {
namespace {

using nlohmann::json;

json small() {
  return json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
    "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": "?",
      "continuing_subword_prefix": null, "end_of_word_suffix": null,
      "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
      "vocab": {"?": 0, "a": 1, "b": 2, "ab": 3},
      "merges": ["a b"]}})");
}

json added(token_id id, const std::string& content) {
  return {{"id", id},          {"content", content}, {"single_word", false},
          {"lstrip", false},   {"rstrip", false},    {"normalized", true},
          {"special", false}};
}

result<std::shared_ptr<const tokenizer>> load(std::string_view text) {
  const fixtures::scratch_folder folder;
  folder.put("tokenizer.json", text);
  return tokenizer::load(folder.path());
}

void expect_refused(const json& file, ec code, std::string_view words) {
  const auto loaded = load(file.dump());
  ASSERT_FALSE(loaded) << file.dump().substr(0, 300);
  EXPECT_EQ(loaded.error().code, code) << loaded.error().message;
  EXPECT_NE(loaded.error().message.find(words), std::string::npos)
      << loaded.error().message;
  EXPECT_NE(loaded.error().message.find("tokenizer.json"), std::string::npos);
  EXPECT_EQ(loaded.error().message.find('\n'), std::string::npos);
}

json split(const std::string& pattern) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

json replace(const std::string& from, const std::string& to) {
  return {
      {"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

TEST(hostile_tokenizer, the_honest_one_loads) {
  const auto loaded = load(small().dump());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(*(*loaded)->encode("ab", false), std::vector<token_id>{3});
  EXPECT_EQ((*loaded)->vocab_size(), 4);
}

TEST(hostile_tokenizer, every_truncation_is_an_error) {
  const auto text = small().dump();
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto loaded = load(std::string_view(text).substr(0, size));
    ASSERT_FALSE(loaded) << size;
    ASSERT_EQ(loaded.error().code, ec::corrupt);
  }
}

TEST(hostile_tokenizer, garbage_is_an_error) {
  for (const char* text : {"null", "[]", "{}", "\xff\xfe", "{\"model\": 3}",
                           "{\"model\": {\"type\": \"BPE\"}}", "1e999"}) {
    const auto loaded = load(text);
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().code, ec::corrupt) << loaded.error().message;
  }
}

TEST(hostile_tokenizer, a_file_over_the_cap_is_not_even_read) {
  const fixtures::scratch_folder folder;
  folder.put("tokenizer.json", "{}");
  std::filesystem::resize_file(folder.path() / "tokenizer.json", 1ull << 40);
  const auto loaded = tokenizer::load(folder.path());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::corrupt);
}

TEST(hostile_tokenizer, a_folder_in_place_of_the_file_is_an_error) {
  const fixtures::scratch_folder folder;
  std::filesystem::create_directory(folder.path() / "tokenizer.json");
  EXPECT_FALSE(tokenizer::load(folder.path()));
}

TEST(hostile_tokenizer, deep_nesting_is_an_error) {
  for (const std::string key : {"normalizer", "decoder", "unknown"}) {
    std::string deep = "{\"" + key + "\":";
    for (int i = 0; i < 1'000'000; ++i) deep += '[';
    const auto loaded = load(deep);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ec::corrupt);
  }
}

TEST(hostile_tokenizer, ids_beyond_a_vocabulary_are_refused) {
  auto file = small();
  file["model"]["vocab"]["a"] = 4'000'000'000u;
  expect_refused(file, ec::corrupt, "4000000000");
  file = small();
  file["model"]["vocab"]["a"] = -1;
  expect_refused(file, ec::corrupt, "");
  file = small();
  file["model"]["vocab"]["a"] = 1ull << 40;
  expect_refused(file, ec::corrupt, "");
  file = small();
  file["added_tokens"].push_back(added(2'000'000'000, "<x>"));
  expect_refused(file, ec::corrupt, "2000000000");
}

TEST(hostile_tokenizer, merges_of_unknown_tokens_are_refused) {
  auto file = small();
  file["model"]["merges"] = {"a zebra"};
  expect_refused(file, ec::corrupt, "");
}

TEST(hostile_tokenizer, an_unknown_token_that_is_missing_is_an_error) {
  auto file = small();
  file["model"]["unk_token"] = "missing";
  const auto loaded = load(file.dump());
  if (!loaded) {
    EXPECT_EQ(loaded.error().code, ec::corrupt);
    return;
  }
  const auto encoded = (*loaded)->encode("z", false);
  ASSERT_FALSE(encoded);
  EXPECT_EQ(encoded.error().code, ec::corrupt);
}

TEST(hostile_tokenizer, random_merges_are_refused) {
  auto file = small();
  file["model"]["dropout"] = 0.5;
  expect_refused(file, ec::incompatible, "dropout");
}

TEST(hostile_tokenizer, other_models_and_parts_are_refused_by_name) {
  auto file = small();
  file["model"]["type"] = "WordPiece";
  expect_refused(file, ec::incompatible, "WordPiece");
  // One without a type, which looks like it.
  file = small();
  file["model"] = json::parse(R"({"unk_token": "?", "vocab": {"?": 0, "a": 1},
    "continuing_subword_prefix": "##", "max_input_chars_per_word": 100})");
  expect_refused(file, ec::incompatible, "WordPiece");
  file = small();
  file["normalizer"] = {{"type", "Replace"},
                        {"pattern", {{"Regex", "(a+)+b"}}},
                        {"content", "a"}};
  expect_refused(file, ec::incompatible, "Replace");
  file = small();
  file["decoder"] = {{"type", "Replace"},
                     {"pattern", {{"Regex", " {2,}"}}},
                     {"content", "a"}};
  expect_refused(file, ec::incompatible, "Replace");
  file = small();
  file["decoder"] = {{"type", "CTC"}};
  expect_refused(file, ec::incompatible, "CTC");
}

json unigram(const std::vector<std::string>& pieces) {
  auto file = small();
  json vocab = json::array({json::array({"?", 0.0})});
  for (const auto& piece : pieces)
    vocab.push_back(json::array({piece, -1.0}));
  file["model"] = {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}};
  return file;
}

TEST(hostile_tokenizer, unigram_vocabularies_that_lie_are_refused) {
  auto file = unigram({"a"});
  file["model"]["unk_id"] = 2;
  expect_refused(file, ec::corrupt, "UnkIdNotInVocabulary");
  file = unigram({"a"});
  file["model"]["vocab"].push_back(json::array({"b", "c"}));
  expect_refused(file, ec::corrupt, "");
  file = unigram({});
  file["model"]["vocab"] = json::array();
  expect_refused(file, ec::corrupt, "");
  // A tree of such pieces would be dropped by a recursion as deep.
  expect_refused(unigram({std::string(1 << 20, 'a')}), ec::exhausted,
                 "1048576");
  std::vector<std::string> many;
  for (int i = 0; i < 20'000; ++i)
    many.push_back(std::string(500, 'a') + std::to_string(i));
  expect_refused(unigram(many), ec::exhausted, "model.vocab");
}

TEST(hostile_tokenizer, a_text_that_no_piece_spells_needs_an_unknown_one) {
  auto file = unigram({"a", "b", " "});
  file["model"]["unk_id"] = nullptr;
  const auto loaded = load(file.dump());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(*(*loaded)->encode("ab", false), (std::vector<token_id>{1, 2}));
  const auto encoded = (*loaded)->encode("z", false);
  ASSERT_FALSE(encoded);
  EXPECT_EQ(encoded.error().code, ec::corrupt) << encoded.error().message;
}

TEST(hostile_tokenizer, pieces_within_pieces_are_not_looked_up_without_end) {
  std::vector<std::string> nested;
  for (std::size_t size = 1; size <= 1000; ++size)
    nested.emplace_back(size, 'a');
  const auto loaded = load(unigram(nested).dump());
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto encoded = (*loaded)->encode(std::string(131'000, 'a'), false);
  ASSERT_FALSE(encoded);
  EXPECT_EQ(encoded.error().code, ec::exhausted) << encoded.error().message;
  EXPECT_TRUE((*loaded)->encode(std::string(500, 'a'), false));
}

TEST(hostile_tokenizer, character_maps_that_lie_are_refused) {
  const auto mapped = [](const std::string& base64) {
    auto file = small();
    file["normalizer"] = {{"type", "Precompiled"},
                          {"precompiled_charsmap", base64}};
    return file;
  };
  expect_refused(mapped(""), ec::corrupt, "precompiled_charsmap");
  expect_refused(mapped("%%"), ec::corrupt, "base64");
  expect_refused(mapped("////fw=="), ec::corrupt, "a tree of");  // 2 GiB
  expect_refused(mapped("AAAAAA=="), ec::corrupt, "a tree of 0");
  // A tree of one node, whose offset points far beyond it.
  expect_refused(mapped("BAAAAP///38="), ec::corrupt, "gave up");
}

TEST(hostile_tokenizer, a_bad_pattern_is_an_error) {
  for (const char* pattern : {"(", "[z-a]", "\\p{Nonsense}", ""}) {
    auto file = small();
    file["pre_tokenizer"] = split(pattern);
    expect_refused(file, ec::corrupt, "");
  }
  auto file = small();
  file["pre_tokenizer"] =
      split(std::string(5000, '(') + std::string(5000, ')'));
  expect_refused(file, ec::corrupt, "10000");
}

TEST(hostile_tokenizer, a_pattern_that_backtracks_for_ever_runs_out_of_fuel) {
  for (const std::string pattern :
       {"(a+)+$", "(a|aa)+$", "(a|a)*c", "((a{1,100}){1,100})+d"}) {
    SCOPED_TRACE(pattern);
    auto file = small();
    file["pre_tokenizer"] = split(pattern);
    const auto loaded = load(file.dump());
    ASSERT_TRUE(loaded) << loaded.error().message;
    const auto encoded =
        (*loaded)->encode(std::string(5000, 'a') + "!", false);
    ASSERT_FALSE(encoded);
    EXPECT_EQ(encoded.error().code, ec::exhausted) << encoded.error().message;
    // The fuel belongs to one text; the next has its own.
    EXPECT_TRUE((*loaded)->encode("ab", false));
  }
}

// Each reads to the text's end at every place of it, and finds nothing.
TEST(hostile_tokenizer, a_pattern_that_reads_far_for_nothing_runs_out_of_fuel) {
  const std::string run(131'000, 'a');
  for (const std::string pattern :
       {"a*b", ".*b", "(?:aa)*b", "a*+b", "a++b", "(?>a*)b", "(?:aa)*+b",
        "(?=a*b)a", "(?!a*b)ab", "a(?=a*)b", "[ab]*c", "\\p{L}*\\d",
        "(?:a*b|a)*c", "(?i)A*B", "a{0,}b"}) {
    SCOPED_TRACE(pattern);
    for (const char* behavior :
         {"Isolated", "Removed", "MergedWithPrevious", "Contiguous"}) {
      auto file = small();
      file["pre_tokenizer"] = split(pattern);
      file["pre_tokenizer"]["behavior"] = behavior;
      const auto loaded = load(file.dump());
      ASSERT_TRUE(loaded) << loaded.error().message;
      const auto encoded = (*loaded)->encode(run, false);
      ASSERT_FALSE(encoded);
      EXPECT_EQ(encoded.error().code, ec::exhausted)
          << encoded.error().message;
      // A text that asks for little is read.
      EXPECT_TRUE((*loaded)->encode(run.substr(0, 100), false));
    }
  }
}

TEST(hostile_tokenizer, patterns_that_cannot_be_counted_are_refused_by_name) {
  for (const std::string pattern :
       {"(a*)\\1b", "(?<x>a\\g<x>?)b", "(?<=a*)b", "\\X", "(?~ab)",
        "(?x) a b", "a{60000}{60000}"}) {
    SCOPED_TRACE(pattern);
    auto file = small();
    file["pre_tokenizer"] = split(pattern);
    EXPECT_FALSE(load(file.dump()));
  }
}

TEST(hostile_tokenizer, long_added_tokens_are_not_looked_for_without_end) {
  auto file = small();
  file["added_tokens"] = {added(4, std::string(100'000, 'a') + "b"),
                          added(5, "aa")};
  const auto loaded = load(file.dump());
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto encoded = (*loaded)->encode(std::string(131'000, 'a'), false);
  ASSERT_FALSE(encoded);
  EXPECT_EQ(encoded.error().code, ec::exhausted) << encoded.error().message;
  EXPECT_TRUE((*loaded)->encode("aab", false));
}

// Whatever the text, an honest pattern uses little of the fuel: a quarter is
// enough for all of these.
TEST(hostile_tokenizer, honest_text_needs_little_of_its_fuel) {
  const std::string words = "It's 1984, and \"we'll\" see: naïve café — 東京  "
                            "\n\n\tx += 1;  // 1234567\n";
  const auto repeated = [](const std::string& what, std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += what;
    return text;
  };
  const std::vector<std::string> texts = {
      repeated(words, 500'000), repeated(" ", 500'000), repeated("\n", 500'000),
      repeated("a", 500'000),   repeated("!", 500'000)};
  for (const std::string pattern : {
           // GPT-2, Llama 3, Qwen 2, o200k (short of its scripts), tiktoken's
           // spelling of cl100k, and digits in threes from the right.
           R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
           R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
           R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
           R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
           R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)",
           R"((?=(\d{3})+(?!\d)))"}) {
    SCOPED_TRACE(pattern);
    auto file = small();
    file["pre_tokenizer"] = split(pattern);
    const auto loaded = load(file.dump());
    ASSERT_TRUE(loaded) << loaded.error().message;
    for (const auto& text : texts) {
      const auto within = (*loaded)->encode_within(
          tokenizer::default_fuel(text.size()) / 4, text, false);
      EXPECT_TRUE(within) << text.substr(0, 10) << within.error().message;
    }
  }
}

TEST(hostile_tokenizer, eight_megabytes_are_read_within_their_fuel) {
  std::string text;
  while (text.size() < 8'000'000) text += "It's one more of many lines.\n";
  auto file = small();
  file["pre_tokenizer"] = split(R"(\s*[\r\n]+|\p{L}+|\s+(?!\S)|\s+|.)");
  const auto loaded = load(file.dump());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_TRUE((*loaded)->encode_within(
      tokenizer::default_fuel(text.size()) / 4, text, false));
}

TEST(hostile_tokenizer, long_runs_of_one_character_are_no_problem) {
  const auto vocabulary = fixtures::load("smollm2");
  for (const char one : {' ', 'a', '\n', '7', '!'}) {
    const std::string text(100'000, one);
    const auto encoded = vocabulary->encode(text, false);
    ASSERT_TRUE(encoded) << encoded.error().message;
    EXPECT_EQ(*vocabulary->decode(*encoded, false), text);
  }
}

TEST(hostile_tokenizer, text_that_a_normalizer_would_blow_up_is_refused) {
  auto file = small();
  json parts = json::array();
  for (int i = 0; i < 60; ++i) parts.push_back(replace("a", "aa"));
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", parts}};
  expect_refused(file, ec::exhausted, "bytes");
  file["normalizer"] = replace("a", std::string(1 << 20, 'b'));
  const auto loaded = load(file.dump());
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto encoded = (*loaded)->encode(std::string(1 << 20, 'a'), false);
  ASSERT_FALSE(encoded);
  EXPECT_EQ(encoded.error().code, ec::exhausted);
}

TEST(hostile_tokenizer, a_normalizer_that_blows_up_added_tokens_is_refused) {
  auto file = small();
  json parts = json::array();
  for (int i = 0; i < 60; ++i) parts.push_back(replace("a", "aa"));
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", parts}};
  file["added_tokens"].push_back(added(4, "aaaa"));
  expect_refused(file, ec::exhausted, "added_tokens");
}

TEST(hostile_tokenizer, ids_that_a_decoder_would_blow_up_are_refused) {
  auto file = small();
  json parts = json::array();
  for (int i = 0; i < 60; ++i) parts.push_back(replace("a", "aa"));
  file["decoder"] = {{"type", "Sequence"}, {"decoders", parts}};
  const auto loaded = load(file.dump());
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto decoded = (*loaded)->decode(std::vector<token_id>{1, 2}, false);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ec::exhausted);
}

TEST(hostile_tokenizer, a_post_processor_cannot_multiply_the_text) {
  auto file = small();
  const json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  file["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", {sequence, sequence}},
                            {"pair", json::array()},
                            {"special_tokens", json::object()}};
  expect_refused(file, ec::corrupt, "2 times");
}

TEST(hostile_tokenizer, a_post_processor_cannot_add_unknown_ids) {
  auto file = small();
  file["post_processor"] = json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "x", "type_id": 0}},
               {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}},
             {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"x": {"id": "x", "ids": [77], "tokens": ["x"]}}})");
  expect_refused(file, ec::corrupt, "77");
}

TEST(hostile_tokenizer, padding_and_truncation_of_the_file_are_ignored) {
  auto file = small();
  file["padding"] = json::parse(R"({"strategy": {"Fixed": 1000000000000},
    "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
    "pad_type_id": 0, "pad_token": "?"})");
  file["truncation"] = json::parse(R"({"direction": "Right", "max_length": 1,
    "strategy": "LongestFirst", "stride": 0})");
  const auto loaded = load(file.dump());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(*(*loaded)->encode("aba", false), (std::vector<token_id>{3, 1}));
}

}  // namespace
}  // namespace t2
