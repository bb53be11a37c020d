// GGUF files against what transformers computes with the same values
// (tests/assets/gguf/golden.json; the families' own golden.json for the files of
// make_gguf_families.py), and what is refused.
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/engine.hpp"
#include "model/gguf_tokenizer.hpp"
#include "model/language_model.hpp"
#include "model/model_check.hpp"
#include "model/model_text.hpp"
#include "model/transformer.hpp"
#include "tests/model/test_device.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"
#include "tests/weights/gguf_builder.hpp"

namespace t2 {
namespace {

using nlohmann::json;
using tests::gguf_builder;

json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

std::filesystem::path gguf_asset(const std::string& name) {
  return test_asset("gguf") / name;
}

std::shared_ptr<language_model> load(const std::filesystem::path& path) {
  auto model = language_model::load({.folder = path,
                                     .dtype = "float32",
                                     .svd_cache = test_folder() / "svd"});
  if (!model) {
    ADD_FAILURE() << model.error().message;
    return nullptr;
  }
  return *model;
}

void expect_prompt(const std::shared_ptr<language_model>& model,
                   const json& record, const std::vector<token_id>& continuation,
                   double tolerance) {
  const auto ids = record["input_ids"].get<std::vector<token_id>>();
  const auto size = static_cast<std::int64_t>(ids.size());
  {
    kv_rows kv{model->network(), size};
    packed_step step;
    step.tokens = ids;
    step.spans = {kv.span(0, size)};
    step.deltas = {nullptr};
    for (std::int64_t i = 0; i < size; ++i) step.logit_rows.push_back(i);
    const auto hidden = model->network().forward(step, kv.store());
    ASSERT_TRUE(hidden) << hidden.error().message;
    const auto logits = model->network().logits(*hidden);
    const auto& norms = record["logits_l2"];
    const auto& best = record["last_logits"];
    for (std::size_t t = 0; t < norms.size(); ++t)
      EXPECT_NEAR(logits.select(0, static_cast<std::int64_t>(t)).norm().item<double>(),
                  norms[t].get<double>(), tolerance * norms[t].get<double>());
    for (std::size_t i = 0; i < best["ids"].size(); ++i)
      EXPECT_NEAR(logits.select(0, -1)
                      .select(0, best["ids"][i].get<std::int64_t>())
                      .item<double>(),
                  best["values"][i].get<double>(),
                  tolerance * norms.back().get<double>());
  }
  engine e{model, {}};
  generation_request request{.prompt = ids};
  request.sampling.max_tokens = 32;
  request.sampling.ignore_eos = true;
  std::vector<token_id> out;
  request.on_event = [&](const generation_event& event) {
    EXPECT_FALSE(event.failure) << event.failure->message;
    for (const auto& t : event.tokens) out.push_back(t.token);
  };
  EXPECT_TRUE(e.submit(request));
  scoring_row row{ids, ids.size(), nullptr};
  row.tokens.insert(row.tokens.end(), continuation.begin(), continuation.end());
  double sum = 0;
  EXPECT_TRUE(e.score({row}, [&](result<std::vector<row_score>> scores) {
    ASSERT_TRUE(scores) << scores.error().message;
    sum = scores->front().sum();
  }));
  while (e.step()) {
  }
  EXPECT_EQ(out, record["greedy_32"].get<std::vector<token_id>>());
  const auto expected = record["logprob_sum"].get<double>();
  EXPECT_NEAR(sum, expected, tolerance * std::abs(expected));
}

void expect_record(const std::shared_ptr<language_model>& model,
                   const json& record, double tolerance = 1e-4) {
  ASSERT_NE(model, nullptr);
  const auto continuation = record["continuation"].get<std::vector<token_id>>();
  for (const auto& prompt : record["prompts"])
    expect_prompt(model, prompt, continuation, tolerance);
}

TEST(gguf_model, every_encoding_computes_what_transformers_does) {
  const auto golden = read_json(gguf_asset("golden.json"));
  for (const auto& [name, record] : golden["files"].items()) {
    SCOPED_TRACE(name);
    const auto model = load(gguf_asset(name));
    ASSERT_NE(model, nullptr);
    const auto& c = model->config();
    const auto& said = record["config"];
    EXPECT_EQ(c.vocabulary, said["vocab_size"]);
    EXPECT_EQ(c.head_dim, said["head_dim"]);
    EXPECT_EQ(c.kv_heads, said["num_key_value_heads"]);
    EXPECT_EQ(c.tied_embeddings, said["tie_word_embeddings"]);
    EXPECT_EQ(c.rope_theta, said["rope_theta"]);
    expect_record(model, record);
  }
}

TEST(gguf_model, factors_of_frequencies_are_llama_3s_scaling) {
  const auto config = read_model_config(gguf_asset("llama3-q4_k_m.gguf"));
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_TRUE(config->rope_scaling);
  EXPECT_EQ(config->rope_scaling->factor, 8);
  EXPECT_EQ(config->rope_scaling->original_max_positions, 64);
}

class gguf_family_golden : public testing::TestWithParam<std::string> {};

TEST_P(gguf_family_golden, computes_what_transformers_does) {
  expect_record(load(gguf_asset(GetParam() + ".gguf")),
                read_json(test_asset(GetParam()) / "golden.json"));
}

TEST_P(gguf_family_golden, its_config_is_that_of_the_folder) {
  const auto file = read_model_config(gguf_asset(GetParam() + ".gguf"));
  const auto folder = read_model_config(test_asset(GetParam()));
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(folder);
  EXPECT_EQ(file->model_type, folder->model_type);
  EXPECT_EQ(file->parameters(), folder->parameters());
  EXPECT_EQ(file->head_dim, folder->head_dim);
  EXPECT_EQ(file->sliding_window, folder->sliding_window);
  EXPECT_EQ(file->windowed_layers, folder->windowed_layers);
  EXPECT_EQ(file->windowed_rope_theta, folder->windowed_rope_theta);
  EXPECT_EQ(file->tied_embeddings, folder->tied_embeddings);
  EXPECT_NEAR(file->attention_scale(), folder->attention_scale(), 1e-7);
  EXPECT_FALSE(file->block.norm_plus_one);  // stored as they are multiplied
}

INSTANTIATE_TEST_SUITE_P(families, gguf_family_golden,
                         testing::Values("llama3-tiny", "qwen2-tiny",
                                         "qwen3-tiny", "gemma3-tiny",
                                         "phi3-tiny", "gpt2-tiny"),
                         [](const auto& of) {
                           auto name = of.param;
                           name.erase(name.find('-'), 1);
                           return name;
                         });

void expect_strings(const tokenizer& words, const json& strings,
                    const json& expected) {
  ASSERT_EQ(strings.size(), expected.size());
  for (std::size_t i = 0; i < strings.size(); ++i) {
    const auto& one = expected[i];
    const auto text = strings[i].get<std::string>();
    const auto ids = words.encode(text, false);
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(*ids, (one.is_object() ? one["ids"] : one)
                        .get<std::vector<token_id>>())
        << i << ": " << text;
  }
}

TEST(gguf_tokenizer, gives_the_ids_of_llama_cpp) {
  const auto golden = read_json(gguf_asset("tokenizers.json"))["tokenizers"];
  const auto strings =
      read_json(tests::assets() / "text_golden.json")["strings"];
  for (const auto& [name, file] : std::map<std::string, std::string>{
           {"gpt-2", "llama-f32.gguf"},
           {"smollm", "llama-q8_0.gguf"},
           {"llama-bpe", "llama-q4_k.gguf"},
           {"sentencepiece", "stories260k-q8_0.gguf"},
           {"sentencepiece-noprefix", "spm-vocab-noprefix.gguf"}}) {
    SCOPED_TRACE(name);
    const auto text = load_model_text(gguf_asset(file));
    ASSERT_TRUE(text) << text.error().message;
    ASSERT_TRUE(*text);
    expect_strings(*(*text)->words, strings, golden[name]);
  }
}

TEST(gguf_tokenizer, knows_beginning_end_and_template) {
  const auto chat = load(gguf_asset("llama-f32.gguf"));
  ASSERT_NE(chat, nullptr);
  ASSERT_TRUE(chat->chat());
  const std::vector<chat_message> said{{"user", "a"}};
  EXPECT_EQ(*chat->chat()->render(said, true),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, "
            "trained by Hugging Face<|im_end|>\n<|im_start|>user\na<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(chat->config().bos_token, 0);
  // <|im_end|> by its key, <|endoftext|> by its spelling.
  EXPECT_EQ(chat->config().eos_tokens, (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ(chat->name(), "llama-f32");

  const auto stories = load(gguf_asset("stories260k-q8_0.gguf"));
  ASSERT_NE(stories, nullptr);
  EXPECT_FALSE(stories->chat());
  EXPECT_EQ(stories->config().bos_token, 1);
  EXPECT_EQ(stories->config().eos_tokens, std::vector<std::int32_t>{2});
  const auto ids = stories->text()->encode("Once", true);
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->front(), 1);
  EXPECT_EQ(*stories->text()->decode(*ids, true), "Once");
}

TEST(gguf_model, broken_files_are_one_line) {
  const auto broken = read_json(gguf_asset("broken/broken.json"))["files"];
  EXPECT_NE(load(gguf_asset("broken/valid.gguf")), nullptr);
  for (const auto& [name, fault] : broken.items()) {
    const auto model = language_model::load(
        {.folder = gguf_asset("broken") / name, .svd_cache = test_folder()});
    ASSERT_FALSE(model) << name;
    EXPECT_NE(model.error().message.find(name), std::string::npos);
    EXPECT_EQ(model.error().message.find('\n'), std::string::npos);
  }
}

TEST(gguf_model, a_check_sees_what_a_file_held) {
  const auto file = test_folder() / "checked.gguf";
  std::filesystem::copy_file(gguf_asset("llama-q8_0.gguf"), file,
                             std::filesystem::copy_options::overwrite_existing);
  const auto cache = test_folder() / "checked-svd";
  const auto model = language_model::load({.folder = file, .svd_cache = cache});
  ASSERT_TRUE(model) << model.error().message;
  const auto same = check_model(file, cache);
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_TRUE(same->problems.empty());
  EXPECT_EQ(same->fingerprint, (*model)->fingerprint());
  std::filesystem::copy_file(gguf_asset("llama-f32.gguf"), file,
                             std::filesystem::copy_options::overwrite_existing);
  const auto other = check_model(file, cache);
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_NE(other->fingerprint, (*model)->fingerprint());
  EXPECT_FALSE(other->problems.empty());
}

/// A llama of one layer, 4 wide, that a test spoils.
class small_gguf {
 public:
  gguf_builder file;

  explicit small_gguf(const std::string& architecture = "llama") {
    file.text("general.architecture", architecture);
    for (const auto& [key, value] : std::map<std::string, std::uint32_t>{
             {"context_length", 64}, {"embedding_length", 4},
             {"block_count", 1}, {"feed_forward_length", 4},
             {"attention.head_count", 2}})
      file.key("llama." + key, gguf_type::uint32, value);
    file.key("llama.attention.layer_norm_rms_epsilon", gguf_type::float32, 1e-5f);
    tensor("token_embd.weight", {4, 3});
  }
  small_gguf& tensor(const std::string& name,
                     const std::vector<std::uint64_t>& dimensions) {
    std::uint64_t values = 1;
    for (const auto size : dimensions) values *= size;
    file.tensor(name, dimensions, 0, std::vector<std::byte>(values * 4));
    return *this;
  }

  std::filesystem::path write(const std::string& name = "small.gguf") const {
    const auto path = test_folder() / name;
    const auto bytes = file.bytes();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  /// Behind the file's name, what its config is refused with.
  std::string refusal() const {
    const auto path = write();
    const auto config = read_model_config(path);
    if (config) return "accepted";
    EXPECT_TRUE(config.error().message.starts_with(path.string() + ": "));
    return config.error().message.substr(path.string().size() + 2);
  }
};

TEST(gguf_config, what_is_not_known_is_refused_by_name) {
  EXPECT_EQ(small_gguf{}.refusal(), "accepted");
  EXPECT_EQ(small_gguf{"mamba"}.refusal(),
            "general.architecture: expected one of gemma3, gpt2, llama, phi3, "
            "qwen2, qwen3, found 'mamba'");
  small_gguf experts;
  experts.file.key("llama.expert_count", gguf_type::uint32, std::uint32_t{8});
  EXPECT_EQ(experts.refusal(),
            "llama.expert_count: expected at most 1 (t2 has no mixtures of "
            "MLPs), found 8");
  small_gguf key;
  key.file.key("llama.wavelets", gguf_type::uint32, std::uint32_t{8});
  EXPECT_TRUE(key.refusal().starts_with(
      "llama.wavelets: expected one of context_length, embedding_length, "))
      << key.refusal();
  EXPECT_EQ(small_gguf{}.tensor("blk.0.attn_sinks.weight", {2}).refusal(),
            "tensor 'blk.0.attn_sinks.weight': expected only what llama of 1 "
            "layers has, found a tensor that t2 does not read");
  EXPECT_EQ(small_gguf{}.tensor("blk.0.attn_norm.bias", {4}).refusal(),
            "tensor 'blk.0.attn_norm.bias': expected only what llama of 1 "
            "layers has, found a tensor that t2 does not read");
  EXPECT_EQ(small_gguf{}.tensor("blk.1.attn_q.weight", {4, 4}).refusal(),
            "tensor 'blk.1.attn_q.weight': expected only what llama of 1 layers "
            "has, found a tensor that t2 does not read");
  EXPECT_EQ(small_gguf{}.tensor("rope_freqs.weight", {1}).refusal(),
            "tensor 'rope_freqs.weight': expected factors of Llama 3's scaling, "
            "and no other, found other factors");
  small_gguf yarn;
  yarn.file.text("llama.rope.scaling.type", "yarn");
  EXPECT_EQ(yarn.refusal(),
            "llama.rope.scaling.type: expected none or linear, found 'yarn'");
  small_gguf part;
  part.file.key("llama.rope.dimension_count", gguf_type::uint32,
                std::uint32_t{1});
  EXPECT_EQ(part.refusal(), "llama.rope.dimension_count: expected 2, found 1");
}

TEST(gguf_config, a_size_is_called_as_the_file_calls_it) {
  gguf_builder file;
  file.text("general.architecture", "llama")
      .key("llama.embedding_length", gguf_type::uint32, std::uint32_t{0})
      .key("llama.attention.layer_norm_rms_epsilon", gguf_type::float32, 1e-5f)
      .tensor("token_embd.weight", {4, 3}, 0, std::vector<std::byte>(48));
  small_gguf small;
  small.file = file;
  EXPECT_EQ(small.refusal(),
            "llama.embedding_length: expected an integer within 1 .. 1048576, "
            "found 0");
}

TEST(gguf_tokenizer, other_models_and_splits_are_refused_by_name) {
  small_gguf unigram;
  unigram.file.text("tokenizer.ggml.model", "t5");
  const auto path = unigram.write();
  EXPECT_EQ(load_model_text(path).error().message,
            path.string() +
                ": tokenizer.ggml.model: expected gpt2 or llama, found 't5'");
  small_gguf split;
  split.file.text("tokenizer.ggml.model", "gpt2")
      .text("tokenizer.ggml.pre", "klingon");
  const auto message = load_model_text(split.write()).error().message;
  EXPECT_TRUE(message.starts_with(path.string() +
                                  ": tokenizer.ggml.pre: expected one of "
                                  "default, gpt-2, "))
      << message;
  EXPECT_TRUE(message.ends_with(", found 'klingon'")) << message;
}

TEST(gguf_model, parts_of_a_split_model_are_found_by_the_first) {
  const auto write = [](const gguf_builder& file, const std::string& name) {
    small_gguf out;
    out.file = file;
    return out.write(name);
  };
  small_gguf first;
  first.file.key("split.count", gguf_type::uint16, std::uint16_t{2})
      .key("split.no", gguf_type::uint16, std::uint16_t{0});
  gguf_builder second;
  second.key("split.count", gguf_type::uint16, std::uint16_t{2})
      .key("split.no", gguf_type::uint16, std::uint16_t{1})
      .tensor("output_norm.weight", {4}, 0, std::vector<std::byte>(16));
  const auto path = write(first.file, "m-00001-of-00002.gguf");
  const auto missing = gguf_model::open(path);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("m-00002-of-00002.gguf"),
            std::string::npos);
  const auto other = write(second, "m-00002-of-00002.gguf");
  const auto source = open_weights(path);
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ((*source)->tensors().size(), 2u);
  EXPECT_EQ((*source)->files().size(), 2u);
  EXPECT_TRUE((*source)->find("output_norm.weight"));
  EXPECT_EQ(gguf_model::open(other).error().message,
            other.string() +
                ": expected the first part of a model in 2 files, a name that "
                "ends in -00001-of-00002.gguf, found part 2");
}

/// Models of a real size, in the folder that T2_ASSETS names.
class gguf_real : public testing::Test {
 protected:
  void expect(const std::string& name) {
    const char* folder = std::getenv("T2_ASSETS");
    if (!folder) GTEST_SKIP() << "T2_ASSETS is not set";
    const std::filesystem::path assets{folder};
    if (!std::filesystem::exists(assets / "gguf-real.json"))
      GTEST_SKIP() << "no gguf-real.json in " << folder;
    const auto record = read_json(assets / "gguf-real.json")["models"][name];
    const auto file = assets / record["file"].get<std::string>();
    if (!std::filesystem::exists(file)) GTEST_SKIP() << "no " << file;
    const auto model = load(file);
    ASSERT_NE(model, nullptr);
    expect_strings(*model->text(),
                   read_json(tests::assets() / "text_golden.json")["strings"],
                   record["strings"]);
    if (record.contains("chat")) {
      std::vector<chat_message> said;
      for (const auto& message : record["chat"]["messages"])
        said.push_back({message["role"], message["content"]});
      ASSERT_TRUE(model->chat());
      EXPECT_EQ(*model->chat()->render(said, true), record["chat"]["text"]);
    }
    expect_record(model, record);
  }
};

TEST_F(gguf_real, smollm2_135m_computes_what_transformers_does) {
  expect("smollm2");
}
TEST_F(gguf_real, gemma_3_270m_computes_what_transformers_does) {
  expect("gemma3");
}

}  // namespace
}  // namespace t2
