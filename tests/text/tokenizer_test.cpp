#include "text/tokenizer.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "tests/text/fixtures.hpp"

namespace t2 {
namespace {

using ids = std::vector<token_id>;

class every_tokenizer : public testing::TestWithParam<std::string> {};

TEST_P(every_tokenizer, gives_the_ids_and_the_text_that_transformers_gives) {
  const auto vocabulary = fixtures::load(GetParam());
  const auto& strings = fixtures::golden()["strings"];
  const auto& records = fixtures::golden()["tokenizers"][GetParam()];
  ASSERT_EQ(records.size(), strings.size());
  ASSERT_GE(strings.size(), 60u);
  for (std::size_t i = 0; i < strings.size(); ++i) {
    SCOPED_TRACE(strings[i].dump());
    const auto text = strings[i].get<std::string>();
    const auto special = vocabulary->encode(text, true);
    const auto plain = vocabulary->encode(text, false);
    ASSERT_TRUE(special) << special.error().message;
    ASSERT_TRUE(plain) << plain.error().message;
    EXPECT_EQ(*special, records[i]["ids_special"].get<ids>());
    EXPECT_EQ(*plain, records[i]["ids_plain"].get<ids>());
    const auto decoded = vocabulary->decode(*special, true);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, records[i]["decoded"].get<std::string>());
  }
}

TEST_P(every_tokenizer, knows_its_vocabulary) {
  const auto vocabulary = fixtures::load(GetParam());
  std::ifstream in(fixtures::folder_of(GetParam()) / "tokenizer.json");
  const auto file = nlohmann::json::parse(in);
  token_id greatest = 0;
  for (const auto& [token, id] : file["model"]["vocab"].items())
    greatest = std::max(greatest, id.get<token_id>());
  for (const auto& added : file["added_tokens"]) {
    const auto id = added["id"].get<token_id>();
    greatest = std::max(greatest, id);
    EXPECT_EQ(vocabulary->token_to_id(added["content"].get<std::string>()), id);
    EXPECT_EQ(vocabulary->is_special(id), added["special"].get<bool>());
  }
  EXPECT_EQ(vocabulary->vocab_size(), greatest + 1);
  EXPECT_EQ(vocabulary->token_to_id("no token is spelled like this"),
            std::nullopt);
  EXPECT_FALSE(vocabulary->is_special(-1));
  EXPECT_FALSE(vocabulary->is_special(vocabulary->vocab_size()));
}

TEST_P(every_tokenizer, refuses_ids_outside_of_its_vocabulary) {
  const auto vocabulary = fixtures::load(GetParam());
  for (const token_id id : {-1, vocabulary->vocab_size(), 0x7fffffff}) {
    const auto decoded = vocabulary->decode(ids{id}, true);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, ec::invalid_argument);
    EXPECT_NE(decoded.error().message.find(std::to_string(id)),
              std::string::npos);
  }
}

TEST_P(every_tokenizer, refuses_text_that_is_not_utf8) {
  const auto vocabulary = fixtures::load(GetParam());
  const auto encoded = vocabulary->encode("abc\xff", false);
  ASSERT_FALSE(encoded);
  EXPECT_EQ(encoded.error().code, ec::invalid_argument);
  EXPECT_NE(encoded.error().message.find("3"), std::string::npos);
}

TEST_P(every_tokenizer, serves_several_threads_at_once) {
  const auto vocabulary = fixtures::load(GetParam());
  const auto& strings = fixtures::golden()["strings"];
  const auto& records = fixtures::golden()["tokenizers"][GetParam()];
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < strings.size(); ++i) {
        const auto found =
            vocabulary->encode(strings[i].get_ref<const std::string&>(), true);
        if (!found || *found != records[i]["ids_special"].get<ids>()) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(
    , every_tokenizer, testing::ValuesIn(fixtures::tokenizer_names()),
    [](const auto& tested) {
      auto name = tested.param;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(tokenizer, says_which_file_is_missing) {
  const fixtures::scratch_folder folder;
  const auto loaded = tokenizer::load(folder.path());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::not_found);
  EXPECT_NE(loaded.error().message.find("tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace t2
