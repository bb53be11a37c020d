#include "model/model_config.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include "model/architecture.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

using nlohmann::json;

class model_config_file : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "t2.XXXXXX");
    ASSERT_TRUE(::mkdtemp(name.data()));
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  result<model_config> read(const json& config) {
    std::ofstream{folder / "config.json"} << config.dump();
    return read_model_config(folder);
  }
  /// The error's text without the folder.
  std::string refused(const json& config) {
    const auto found = read(config);
    if (found) return "accepted";
    auto text = found.error().message;
    const auto prefix = folder.string() + "/";
    return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
  }

  static json small(const std::string& type = "llama") {
    return {{"model_type", type},       {"vocab_size", 100},
            {"hidden_size", 64},        {"intermediate_size", 128},
            {"num_hidden_layers", 2},   {"num_attention_heads", 8},
            {"num_key_value_heads", 4}, {"max_position_embeddings", 512}};
  }
  static json with(json base, const json& changes) {
    base.update(changes);
    return base;
  }

  std::filesystem::path folder;
};

model_config asset(const std::string& name) {
  const auto read =
      read_model_config(tests::assets() / name);
  EXPECT_TRUE(read) << read.error().message;
  return read ? *read : model_config{};
}

TEST(model_config, reads_the_configs_of_published_models) {
  const auto llama3 = asset("llama3-tiny");
  EXPECT_EQ(llama3.head_dim, 16);  // not 96 / 8
  EXPECT_EQ(llama3.kv_heads, 2);
  ASSERT_TRUE(llama3.rope_scaling);
  EXPECT_EQ(llama3.rope_scaling->original_max_positions, 64);
  EXPECT_EQ(llama3.rope_theta, 500000);
  EXPECT_FALSE(llama3.tied_embeddings);

  EXPECT_EQ(asset("mistral-swa-tiny").sliding_window, 16);
  EXPECT_FALSE(asset("mistral-tiny").sliding_window);

  const auto qwen2 = asset("qwen2-tiny");
  EXPECT_FALSE(qwen2.sliding_window);  // switched off
  EXPECT_TRUE(qwen2.query_key_value_bias);
  EXPECT_FALSE(qwen2.output_bias);
  EXPECT_TRUE(qwen2.tied_embeddings);
  EXPECT_EQ(qwen2.norm_epsilon, 1e-6);

  const auto smol = asset("smollm2");
  EXPECT_EQ(smol.parameters(), 134'515'008);
  EXPECT_EQ(smol.head_dim, 64);
  EXPECT_FALSE(smol.rope_scaling);
}

/// Settings of other decoders, with a value that changes what is computed and
/// one that does not: x * 1, no cap, scores divided by the root of head_dim = 8.
TEST_F(model_config_file, refuses_settings_that_t2_does_not_compute) {
  const auto root = 1 / std::sqrt(8.0);
  const struct {
    const char* key;
    json other, neutral;
  } cases[]{
      {"attn_logit_softcapping", 50.0, nullptr},
      {"final_logit_softcapping", 30.0, nullptr},
      {"attention_multiplier", 0.0078125, root},
      {"query_pre_attn_scalar", 256, 8},
      {"embedding_multiplier", 12.0, 1.0},
      {"residual_multiplier", 0.22, 1},
      {"logits_scaling", 8.0, 1.0},
      {"logit_scale", 0.0625, 1},
      {"scale_emb", 12, 1},
      {"scale_depth", 1.4, std::sqrt(2.0)},
      {"dim_model_base", 256, 64},
      {"use_qk_norm", true, false},
      {"num_local_experts", 8, 0},
      {"is_causal", false, true},
      {"partial_rotary_factor", 0.5, 1.0},
      {"rope_interleaved", true, false},
      {"hidden_activation", "gelu_pytorch_tanh", "silu"},
      {"no_rope_layers", {1, 0}, {1, 1}},
      {"per_layer_config", {{"0", {{"head_dim", 4}}}}, nullptr},
      {"compression_config", {{"format", "pack"}}, nullptr},
      {"pruned_heads", {{"0", {1}}}, json::object()},
  };
  for (const auto* type : {"llama", "mistral", "qwen2"})
    for (const auto& [key, other, neutral] : cases) {
      EXPECT_TRUE(refused(with(small(type), {{key, other}}))
                      .starts_with(std::string{"config.json: "} + key +
                                   ": expected "))
          << key << ": " << refused(with(small(type), {{key, other}}));
      EXPECT_EQ(refused(with(small(type), {{key, neutral}})), "accepted")
          << key;
    }
  EXPECT_EQ(refused(with(small(), {{"attn_logit_softcapping", 50.0}})),
            "config.json: attn_logit_softcapping: expected none (t2 does not "
            "compute it), found 50.0");
  EXPECT_EQ(refused(with(small(), {{"logits_scaling", 8}})),
            "config.json: logits_scaling: expected 1.0 (t2 computes no "
            "other), found 8");
}

/// A config in the form of config_cases.json, without the attention's scale.
json as_transformers_says(const model_config& c) {
  json scaling, windows = json::array(), rotated = json::array();
  if (c.rope_scaling)
    scaling = {c.rope_scaling->factor, c.rope_scaling->low_frequency_factor,
               c.rope_scaling->high_frequency_factor,
               c.rope_scaling->original_max_positions};
  else if (c.rope_factor != 1)
    scaling = c.rope_factor;
  for (std::int64_t l = 0; l < c.layers; ++l) {
    const auto how = c.attention(l);
    windows.push_back(how.window > 0 ? json(how.window) : json());
    rotated.push_back(how.rotary >= 0);
  }
  const auto number = [](bool there, double x) { return there ? json(x) : json(); };
  const std::array names{"silu", "gelu", "gelu_tanh"};
  return {{"theta", number(!c.block.learned_positions, c.rope_theta)},
          {"windowed_theta", number(c.windowed_rope_theta.has_value(),
                                    c.windowed_rope_theta.value_or(0))},
          {"scaling", scaling},
          {"windows", windows},
          {"rotated", rotated},
          {"rotated_dims", c.rotated_dims()},
          {"kv_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"biases", {c.query_key_value_bias, c.output_bias, c.mlp_bias}},
          {"activation", names[static_cast<std::size_t>(c.block.activation)]},
          {"epsilon", c.norm_epsilon},
          {"tied", c.tied_embeddings},
          {"intermediate", c.intermediate}};
}

/// What is called in several ways, called in one.
json known_names(json expected) {
  expected.erase("scale");
  auto& act = expected["activation"];
  if (act == "swish") act = "silu";
  if (act == "gelu_new" || act == "gelu_pytorch_tanh") act = "gelu_tanh";
  return expected;
}

/// config_cases.json holds configs that say things twice or leave them out,
/// and what transformers reads; make_config_cases.py wrote it.
TEST_F(model_config_file, says_what_it_says_to_transformers) {
  std::ifstream in(tests::source_folder() / "tests/model/config_cases.json");
  const auto file = json::parse(in);
  ASSERT_GE(file.size(), 400u);
  int compared = 0;
  for (std::size_t i = 1; i < file.size(); ++i) {
    auto config = file[0];
    config.merge_patch(file[i][0]);
    for (auto& value : config)
      if (value == json{nullptr}) value = nullptr;
    const auto& expected = file[i][1];
    const bool may_refuse = file[i][2];
    const auto found = read(config);
    if (expected.is_null()) {
      EXPECT_FALSE(found) << config;
      continue;
    }
    if (!found) {
      EXPECT_TRUE(may_refuse) << config << "\n" << found.error().message;
      continue;
    }
    ++compared;
    EXPECT_EQ(as_transformers_says(*found), known_names(expected)) << config;
    EXPECT_NEAR(found->attention_scale(), expected["scale"].get<double>(),
                1e-7 * expected["scale"].get<double>())
        << config;
  }
  EXPECT_GE(compared, 600);
}

TEST_F(model_config_file, joins_the_ends_that_the_files_name) {
  const auto ends = [&](const json& changes, const std::string& generation) {
    std::ofstream{folder / "generation_config.json"} << generation;
    const auto found = read(with(small(), changes));
    EXPECT_TRUE(found) << found.error().message;
    return found ? found->eos_tokens : std::vector<std::int32_t>{};
  };
  using list = std::vector<std::int32_t>;
  EXPECT_EQ(ends({{"eos_token_id", 2}}, R"({"eos_token_id": [7, 2, 9]})"),
            (list{7, 2, 9}));
  EXPECT_EQ(ends({{"eos_token_id", {2, 3}}}, R"({"eos_token_id": 7})"),
            (list{7, 2, 3}));
  EXPECT_EQ(ends({{"eos_token_id", nullptr}}, R"({"eos_token_id": 7})"),
            list{7});
  EXPECT_EQ(ends({{"eos_token_id", 2}}, R"({"eos_token_id": null})"), list{2});
  EXPECT_EQ(ends(json::object(), "{}"), list{});
  EXPECT_EQ(ends({{"text_config", {{"eos_token_id", 5}}}}, "{}"), list{5});
  // Ids that the vocabulary of 100 does not have end nothing, least of all
  // the load.
  EXPECT_EQ(ends({{"eos_token_id", -1}}, R"({"eos_token_id": [4, 128009]})"),
            list{4});
  EXPECT_EQ(ends({{"eos_token_id", 100},
                  {"bos_token_id", 18446744073709551615u}},
                 "{}"),
            list{});
}

TEST(model_config, lets_the_generation_config_name_the_ends) {
  EXPECT_EQ(asset("stories260k-hf").eos_tokens,
            (std::vector<std::int32_t>{2, 1}));
  EXPECT_EQ(asset("mistral-tiny").eos_tokens, (std::vector<std::int32_t>{2}));
  EXPECT_EQ(asset("mistral-tiny").bos_token, 1);
}

TEST_F(model_config_file, of_an_unknown_type_gets_a_list_of_the_known) {
  const std::string known = known_architectures();
  EXPECT_NE(known.find("llama, mistral"), std::string::npos);
  EXPECT_NE(known.find("qwen3"), std::string::npos);
  EXPECT_EQ(refused(small("mamba")),
            "config.json: model_type: expected one of " + known +
                ", found \"mamba\"");
  EXPECT_EQ(refused(json::object()),
            "config.json: model_type: expected one of " + known +
                ", found none");
}

TEST_F(model_config_file, with_absurd_values_is_refused_by_key) {
  const struct {
    json changes;
    std::string expected;
  } cases[]{
      {{{"hidden_size", -64}},
       "hidden_size: expected an integer within 1 .. 1048576, found -64"},
      {{{"hidden_size", 1e30}},
       "hidden_size: expected an integer within 1 .. 1048576, found 1e+30"},
      {{{"vocab_size", 18446744073709551615u}},
       "vocab_size: expected an integer within 1 .. 16777216, found "
       "18446744073709551615"},
      {{{"num_hidden_layers", "many"}},
       "num_hidden_layers: expected an integer within 1 .. 4096, found "
       "\"many\""},
      {{{"num_key_value_heads", 3}},
       "num_key_value_heads: expected a divisor of num_attention_heads = 8, "
       "found 3"},
      {{{"num_attention_heads", 7}, {"num_key_value_heads", 7}},
       "num_attention_heads: expected a divisor of hidden_size = 64, or "
       "head_dim, found 7"},
      {{{"head_dim", 7}},
       "head_dim: expected an even number (pairs are rotated), found 7"},
      {{{"rms_norm_eps", -1}},
       "rms_norm_eps: expected a number within 0 .. 1, found -1"},
      {{{"hidden_act", "relu"}},
       "hidden_act: expected silu, gelu, gelu_new or gelu_pytorch_tanh, found "
       "\"relu\""},
      {{{"tie_word_embeddings", 1}},
       "tie_word_embeddings: expected true or false, found 1"},
      {{{"rope_theta", 0}},
       "rope_theta: expected a number within 1 .. 1e+12, found 0"},
      {{{"rope_scaling", {{"rope_type", "ntk"}, {"factor", 4}}}},
       "rope_scaling: rope_type: expected default, linear, dynamic, llama3, "
       "yarn or longrope, found \"ntk\""},
      {{{"rope_scaling", {{"type", "linear"}, {"factor", 0.5}}}},
       "rope_scaling: factor: expected a number within 1 .. 1e+06, found 0.5"},
      {{{"rope_scaling", {{"rope_type", "llama3"}}}},
       "rope_scaling: factor: expected a number within 1 .. 1e+06, found "
       "none"},
      {{{"rope_theta", nullptr}},
       "rope_theta: expected a number, found null"},
      {{{"rope_parameters",
         {{"full_attention", {{"rope_theta", 10000}}},
          {"sliding_attention", {{"rope_theta", 5000}}}}}},
       "rope_parameters: full_attention: expected a number or a text (t2 has "
       "one rotary embedding for all layers), found an object"},
      {{{"rope_scaling", "llama3"}},
       "rope_scaling: expected an object, found \"llama3\""},
      {{{"eos_token_id", "2"}},
       "eos_token_id: expected a token id or a list of them, found \"2\""},
      {{{"bos_token_id", {1, 2.5}}},
       "bos_token_id: expected a token id or a list of them, found [1,2.5]"},
      {{{"quantization_config", {{"bits", 4}}}},
       "quantization_config: expected none (float32, bfloat16 or float16 "
       "weights), found a quantised model"},
  };
  for (const auto& [changes, expected] : cases)
    EXPECT_EQ(refused(with(small(), changes)), "config.json: " + expected);
  for (const auto* key : {"vocab_size", "hidden_size", "intermediate_size",
                          "num_hidden_layers", "num_attention_heads"}) {
    auto config = small();
    config.erase(key);
    EXPECT_NE(refused(config).find(std::string{key} + ": expected an integer"),
              std::string::npos);
  }
}

TEST_F(model_config_file, that_is_no_sane_json_is_refused) {
  for (const std::string text :
       {"", "{", "[]", "null", "{\"model_type\":\"\xff\"}"}) {
    std::ofstream{folder / "config.json"} << text;
    EXPECT_EQ(read_model_config(folder).error().code, ec::corrupt) << text;
  }
  std::ofstream{folder / "config.json"}
      << "{\"a\":" << std::string(100'000, '[') << std::string(100'000, ']')
      << "}";
  EXPECT_EQ(read_model_config(folder).error().code, ec::corrupt);
  std::filesystem::remove(folder / "config.json");
  EXPECT_EQ(read_model_config(folder).error().code, ec::not_found);
}

TEST_F(model_config_file, may_put_the_rotary_values_into_rope_parameters) {
  const json rope{{"rope_theta", 500000.0},
                  {"rope_type", "llama3"},
                  {"factor", 32.0},
                  {"low_freq_factor", 1.0},
                  {"high_freq_factor", 4.0},
                  {"original_max_position_embeddings", 8192}};
  const auto found = read(with(small(), {{"rope_parameters", rope}}));
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->rope_theta, 500000);
  ASSERT_TRUE(found->rope_scaling);
  EXPECT_EQ(found->rope_scaling->factor, 32);
  // The older spelling of the same model is the same model.
  auto older = rope;
  older.erase("rope_theta");
  const auto same = read(
      with(small(), {{"rope_scaling", older}, {"rope_theta", 500000}}));
  ASSERT_TRUE(same);
  EXPECT_EQ(found->canonical_json(), same->canonical_json());
}

TEST_F(model_config_file, means_what_the_architecture_assumes_where_silent) {
  auto silent = small();
  silent.erase("num_key_value_heads");
  EXPECT_EQ(read(silent)->kv_heads, 8);
  EXPECT_EQ(read(small())->norm_epsilon, 1e-6);
  EXPECT_EQ(read(small())->rope_theta, 10000);
  EXPECT_EQ(read(small("mistral"))->sliding_window, 4096);
  EXPECT_FALSE(
      read(with(small("mistral"), {{"sliding_window", nullptr}}))
          ->sliding_window);
  EXPECT_TRUE(read(with(small(), {{"attention_bias", true}}))->output_bias);
}

TEST_F(model_config_file, of_qwen2_has_a_window_in_its_last_layers) {
  const auto window = [&](const json& changes) {
    return read(with(with(small("qwen2"), {{"sliding_window", 24}}), changes));
  };
  EXPECT_FALSE(window({{"use_sliding_window", false}})->sliding_window);
  EXPECT_FALSE(window(json::object())->sliding_window);
  EXPECT_EQ(read(with(small("qwen2"), {{"use_sliding_window", true},
                                       {"max_window_layers", 0}}))
                ->sliding_window,
            4096);
  EXPECT_EQ(window({{"use_sliding_window", true}, {"max_window_layers", 0}})
                ->sliding_window,
            24);
  EXPECT_FALSE(window({{"use_sliding_window", true}, {"max_window_layers", 2}})
                   ->sliding_window);
  const auto mixed =
      window({{"use_sliding_window", true}, {"max_window_layers", 1}});
  ASSERT_TRUE(mixed) << mixed.error().message;
  EXPECT_EQ(mixed->attention(0).window, 0);
  EXPECT_EQ(mixed->attention(1).window, 24);
}

TEST_F(model_config_file, is_canonical_whatever_its_spelling) {
  const auto plain = read(small())->canonical_json();
  EXPECT_EQ(plain, read(with(small(), {{"head_dim", 8},
                                       {"rope_theta", 10000},
                                       {"rope_scaling", nullptr},
                                       {"unknown_key", "x"},
                                       {"eos_token_id", 5}}))
                       ->canonical_json());
  EXPECT_NE(plain,
            read(with(small(), {{"rope_theta", 10001}}))->canonical_json());
  EXPECT_NE(plain, read(with(small(), {{"tie_word_embeddings", true}}))
                       ->canonical_json());
}

}  // namespace
}  // namespace t2
