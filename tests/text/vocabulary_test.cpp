// Vocabularies other than byte pairs, against sentencepiece's own ids and plain
// look-ups (make_vocabulary_golden.py).

#include <gtest/gtest.h>

#include "tests/text/fixtures.hpp"
#include "text/detokenizer.hpp"
#include "text/tokenizer.hpp"

namespace t2 {
namespace {

using ids = std::vector<token_id>;

const nlohmann::json& golden() {
  static const nlohmann::json read = [] {
    std::ifstream in(tests::assets() / "vocabulary_golden.json");
    return nlohmann::json::parse(in);
  }();
  return read;
}

class every_vocabulary : public testing::TestWithParam<const char*> {};

TEST_P(every_vocabulary, gives_the_ids_that_others_give) {
  const auto known = fixtures::load(GetParam());
  const auto& rows = golden().at(GetParam());
  ASSERT_GE(rows.size(), 50u);
  for (const auto& row : rows) {
    SCOPED_TRACE(row.dump());
    const auto encoded = known->encode(row["text"].get<std::string>(), true);
    ASSERT_TRUE(encoded) << encoded.error().message;
    EXPECT_EQ(*encoded, row["ids"].get<ids>());
    EXPECT_EQ(*known->decode(*encoded, true), row["decoded"]);
  }
}

TEST_P(every_vocabulary, streams_what_it_decodes) {
  const auto known = fixtures::load(GetParam());
  for (const auto& row : golden().at(GetParam())) {
    detokenizer stream(known);
    std::string text;
    for (const auto id : row["ids"].get<ids>()) text += *stream.push(id);
    text += *stream.finish();
    EXPECT_EQ(text, row["decoded"].get<std::string>()) << row.dump();
  }
}

INSTANTIATE_TEST_SUITE_P(, every_vocabulary,
                         testing::Values("unigram-tiny", "unigram-bytes-tiny",
                                         "wordlevel-tiny"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace t2
