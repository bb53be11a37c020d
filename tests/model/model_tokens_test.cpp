#include "model/model_tokens.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "text/chat_template.hpp"

namespace t2 {
namespace {

using nlohmann::json;

/// A model's folder whose tokenizer has <s> 0, </s> 1, <|im_end|> 2, a 3, b 4.
class model_tokens_file : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "t2.XXXXXX";
    ASSERT_TRUE(::mkdtemp(name.data()));
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  void put(const std::string& name, const json& content) {
    std::ofstream{folder / name} << content.dump();
  }

  /// `opens`: whether the post-processor writes <s> before a text.
  void put_tokenizer(bool opens) {
    auto added = json::array();
    json vocabulary;
    for (const auto* text : {"<s>", "</s>", "<|im_end|>", "a", "b"}) {
      const auto id = vocabulary.size();
      vocabulary[text] = id;
      if (id < 3)
        added.push_back({{"id", id},
                         {"content", text},
                         {"single_word", false},
                         {"lstrip", false},
                         {"rstrip", false},
                         {"normalized", false},
                         {"special", true}});
    }
    const json opening{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
    const auto part = [](const char* id, int type) {
      return json{{"Sequence", {{"id", id}, {"type_id", type}}}};
    };
    json post;
    if (opens)
      post = {{"type", "TemplateProcessing"},
              {"single", {opening, part("A", 0)}},
              {"pair", {opening, part("A", 0), part("B", 1)}},
              {"special_tokens",
               {{"<s>",
                 {{"id", "<s>"}, {"ids", {0}}, {"tokens", {"<s>"}}}}}}};
    put("tokenizer.json",
        {{"version", "1.0"},
         {"truncation", nullptr},
         {"padding", nullptr},
         {"added_tokens", added},
         {"normalizer", nullptr},
         {"pre_tokenizer", nullptr},
         {"post_processor", post},
         {"decoder", nullptr},
         {"model",
          {{"type", "BPE"},
           {"vocab", vocabulary},
           {"merges", json::array()}}}});
  }

  model_config joined(const json& changes) {
    json config{{"model_type", "llama"},       {"vocab_size", 8},
                {"hidden_size", 8},            {"intermediate_size", 8},
                {"num_hidden_layers", 1},      {"num_attention_heads", 1},
                {"max_position_embeddings", 8}};
    config.update(changes);
    put("config.json", config);
    auto read = read_model_config(folder);
    const auto special = special_tokens::load(folder);
    const auto text = tokenizer::load(folder);
    EXPECT_TRUE(read) << read.error().message;
    EXPECT_TRUE(special) << special.error().message;
    EXPECT_TRUE(text) << text.error().message;
    if (!read || !special || !text) return {};
    join_special_tokens(*read, *special, **text, folder.string());
    return *read;
  }

  /// What a template makes of the tokens' names.
  std::string printed() {
    std::ofstream{folder / "chat_template.jinja"}
        << "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}";
    const auto loaded = chat_template::load(folder);
    return loaded ? *(*loaded)->render({}, false) : loaded.error().message;
  }

  std::filesystem::path folder;
};

using list = std::vector<std::int32_t>;

TEST_F(model_tokens_file, end_a_text_whichever_file_names_them) {
  put_tokenizer(false);
  for (const json& name :
       {json("<|im_end|>"), json{{"content", "<|im_end|>"}, {"special", true}}}) {
    put("tokenizer_config.json", {{"eos_token", name}});
    EXPECT_EQ(joined({{"eos_token_id", 1}}).eos_tokens, (list{1, 2}));
    EXPECT_EQ(joined({{"eos_token_id", nullptr}}).eos_tokens, list{2});
    EXPECT_EQ(joined({{"eos_token_id", {2, 1}}}).eos_tokens, (list{2, 1}));
    EXPECT_EQ(joined(json::object()).eos_tokens, list{2});
  }
  put("tokenizer_config.json", json::object());
  put("special_tokens_map.json", {{"eos_token", "<|im_end|>"}});
  put("generation_config.json", {{"eos_token_id", 3}});
  EXPECT_EQ(joined({{"eos_token_id", 1}}).eos_tokens, (list{3, 1, 2}));
}

TEST_F(model_tokens_file, that_the_model_lacks_are_left_out) {
  put_tokenizer(false);
  put("tokenizer_config.json", {{"eos_token", "<|eot|>"}, {"bos_token", "x"}});
  EXPECT_EQ(joined({{"eos_token_id", 1}}).eos_tokens, list{1});
  EXPECT_FALSE(joined(json::object()).bos_token);
  // The tokenizer's own list may have ids that tokenizer.json has not.
  for (const auto& [id, ends] :
       {std::pair{"7", list{1, 7}}, std::pair{"8", list{1}},
        std::pair{"-1", list{1}}, std::pair{"many", list{1}}}) {
    put("tokenizer_config.json",
        {{"eos_token", "<|eot|>"},
         {"added_tokens_decoder", {{id, {{"content", "<|eot|>"}}}}}});
    EXPECT_EQ(joined({{"eos_token_id", 1}}).eos_tokens, ends) << id;
  }
}

TEST_F(model_tokens_file, begin_a_text_as_the_tokenizer_does) {
  put_tokenizer(true);
  EXPECT_EQ(joined(json::object()).bos_token, 0);
  EXPECT_EQ(joined({{"bos_token_id", 3}}).bos_token, 0);
  put_tokenizer(false);
  EXPECT_FALSE(joined(json::object()).bos_token);
  EXPECT_EQ(joined({{"bos_token_id", 3}}).bos_token, 3);
  put("tokenizer_config.json", {{"bos_token", "<s>"}});
  EXPECT_EQ(joined({{"bos_token_id", nullptr}}).bos_token, 0);
}

TEST_F(model_tokens_file, are_printed_by_templates_by_their_ids_if_need_be) {
  put_tokenizer(false);
  joined({{"bos_token_id", 0}, {"eos_token_id", {2, 1}}, {"pad_token_id", -1}});
  EXPECT_EQ(printed(), "<s>|<|im_end|>|");
  put("generation_config.json", {{"pad_token_id", 1}, {"bos_token_id", 3}});
  EXPECT_EQ(printed(), "<s>|<|im_end|>|</s>");
  put("tokenizer_config.json", {{"bos_token", nullptr}, {"eos_token", "b"}});
  EXPECT_EQ(printed(), "<s>|b|</s>");
  // Qwen's way to say that there is none.
  put("tokenizer_config.json",
      {{"bos_token", nullptr}, {"add_bos_token", false}});
  EXPECT_EQ(printed(), "|<|im_end|>|</s>");
}

TEST_F(model_tokens_file, beyond_the_vocabulary_are_special_or_not_the_models) {
  put_tokenizer(false);
  const auto text = *tokenizer::load(folder);
  model_config config;
  // a and b have the ids 3 and 4, <|im_end|> has 2.
  config.vocabulary = 5;
  EXPECT_TRUE(check_vocabulary(config, *text, "tokenizer.json"));
  config.vocabulary = 4;
  const auto refused = check_vocabulary(config, *text, "tokenizer.json");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::incompatible);
  EXPECT_EQ(refused.error().message,
            "tokenizer.json: expected at most 4 tokens (config.json's "
            "vocab_size), found 5");

  std::ifstream in{folder / "tokenizer.json"};
  auto padded = json::parse(in);
  padded["added_tokens"].push_back(padded["added_tokens"][0]);
  padded["added_tokens"].back()["id"] = 5;
  padded["added_tokens"].back()["content"] = "[PAD]";
  put("tokenizer.json", padded);
  const auto more = *tokenizer::load(folder);
  ASSERT_EQ(more->vocab_size(), 6);
  config.vocabulary = 5;
  EXPECT_TRUE(check_vocabulary(config, *more, "tokenizer.json"));
}

TEST_F(model_tokens_file, are_no_part_of_the_canonical_config) {
  put_tokenizer(true);
  const auto plain = joined(json::object()).canonical_json();
  put("tokenizer_config.json", {{"eos_token", "<|im_end|>"}});
  EXPECT_EQ(joined({{"eos_token_id", 1}}).canonical_json(), plain);
}

}  // namespace
}  // namespace t2
