#include "model/model_config.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/logging.hpp"
#include "model/architecture.hpp"
#include "model/config_reader.hpp"
#include "model/gguf_config.hpp"
#include "model/gguf_model.hpp"
#include "model/json_file.hpp"

namespace t2 {
namespace {

/// `key` as a token id, a list of them, or nothing.
std::vector<std::int32_t> read_tokens(config_reader& reader,
                                      const std::string& key,
                                      std::int64_t vocabulary) {
  std::vector<std::int32_t> tokens;
  const auto* value = reader.value(key);
  if (!value) return tokens;
  const auto list = value->is_array() ? *value : nlohmann::json::array({*value});
  for (const auto& item : list) {
    if (!item.is_number_integer()) {
      reader.refuse(key, "a token id or a list of them", reader.found(key));
      return {};
    }
    // Unsigned numbers beyond 63 bits turn negative: not ids either.
    const auto id = item.get<std::int64_t>();
    if (id >= 0 && id < vocabulary)
      tokens.push_back(static_cast<std::int32_t>(id));
    else
      log(log_level::warn, reader.file() + ": " + key + ": " + item.dump() +
                               " is left out: not a token below vocab_size = " +
                               std::to_string(vocabulary));
  }
  return tokens;
}

void add_ends(model_config& config, const std::vector<std::int32_t>& ends) {
  for (const auto end : ends)
    if (std::ranges::find(config.eos_tokens, end) == config.eos_tokens.end())
      config.eos_tokens.push_back(end);
}

/// What one file says of the beginning and the ends.
void read_special_tokens(config_reader& reader, model_config& config) {
  add_ends(config, read_tokens(reader, "eos_token_id", config.vocabulary));
  const auto bos = read_tokens(reader, "bos_token_id", config.vocabulary);
  if (!bos.empty() && !config.bos_token) config.bos_token = bos.front();
}

/// What differs from Llama's block.
nlohmann::json block_json(const block_spec& b) {
  const block_spec usual;
  nlohmann::json json = nlohmann::json::object();
  if (b.norm != usual.norm) json["norm"] = "layer";
  if (b.norm_plus_one) json["norm_plus_one"] = true;
  if (!b.norm_before) json["norm_before"] = false;
  if (b.norm_behind) json["norm_behind"] = true;
  if (b.heads != usual.heads)
    json["head_norm"] = b.heads == head_norm::each ? "each" : "whole";
  if (b.activation != usual.activation)
    json["activation"] =
        b.activation == activation_kind::gelu ? "gelu" : "gelu_tanh";
  if (!b.gated) json["gated"] = false;
  if (b.parallel) json["parallel"] = true;
  if (b.learned_positions) json["learned_positions"] = true;
  if (b.rotated_dims != usual.rotated_dims)
    json["rotated_dims"] = b.rotated_dims;
  if (b.attention_scale) json["attention_scale"] = *b.attention_scale;
  if (b.embedding_scale != 1) json["embedding_scale"] = b.embedding_scale;
  if (b.attention_cap != 0) json["attention_cap"] = b.attention_cap;
  if (b.logit_cap != 0) json["logit_cap"] = b.logit_cap;
  return json;
}

}  // namespace

std::int64_t model_config::parameters() const {
  const auto query = heads * head_dim, key = kv_heads * head_dim;
  const auto norm = block.norm == norm_kind::layer ? 2 * hidden : hidden;
  const std::int64_t inputs = block.gated ? 2 : 1;    // gate, up
  auto layer = hidden * (query + 2 * key)             // q, k, v
               + query * hidden                       // o
               + (inputs + 1) * hidden * intermediate;
  if (block.norm_before) layer += 2 * norm;
  if (block.norm_behind) layer += 2 * norm;
  if (block.heads == head_norm::each) layer += 2 * head_dim;
  if (block.heads == head_norm::whole) layer += query + key;
  if (query_key_value_bias) layer += query + 2 * key;
  if (output_bias) layer += hidden;
  if (mlp_bias) layer += inputs * intermediate + hidden;
  auto embeddings = (tied_embeddings ? 1 : 2) * vocabulary * hidden;
  if (block.learned_positions) embeddings += max_positions * hidden;
  return layers * layer + embeddings + norm;
}

layer_attention model_config::attention(std::int64_t layer) const {
  const auto l = static_cast<std::size_t>(layer);
  const bool windowed =
      sliding_window && (windowed_layers.empty() || windowed_layers[l]);
  const bool rotated = !block.learned_positions &&
                       (rotated_layers.empty() || rotated_layers[l]);
  return {.window = windowed ? *sliding_window : 0,
          .rotary = !rotated                          ? -1
                    : windowed && windowed_rope_theta ? 1
                                                      : 0};
}

double model_config::attention_scale() const {
  return block.attention_scale.value_or(
      1.f / std::sqrt(static_cast<float>(head_dim)));
}

std::string model_config::canonical_json() const {
  // nlohmann::json keeps keys sorted and prints the shortest number that
  // reads back as the same double. Token ids are left out: they end texts,
  // they do not change what the model computes.
  nlohmann::json json{
      {"model_type", model_type},
      {"vocabulary", vocabulary},
      {"hidden", hidden},
      {"intermediate", intermediate},
      {"layers", layers},
      {"heads", heads},
      {"kv_heads", kv_heads},
      {"head_dim", head_dim},
      {"max_positions", max_positions},
      {"norm_epsilon", norm_epsilon},
      {"rope_theta", rope_theta},
      {"rope_scaling", nullptr},
      {"sliding_window", nullptr},
      {"query_key_value_bias", query_key_value_bias},
      {"output_bias", output_bias},
      {"mlp_bias", mlp_bias},
      {"tied_embeddings", tied_embeddings},
  };
  if (rope_scaling)
    json["rope_scaling"] = {
        {"type", "llama3"},
        {"factor", rope_scaling->factor},
        {"low_frequency_factor", rope_scaling->low_frequency_factor},
        {"high_frequency_factor", rope_scaling->high_frequency_factor},
        {"original_max_positions", rope_scaling->original_max_positions},
    };
  if (sliding_window) json["sliding_window"] = *sliding_window;
  if (rope_factor != 1) json["rope_factor"] = rope_factor;
  if (yarn)
    json["rope_scaling"] = {
        {"type", "yarn"},
        {"factor", yarn->factor},
        {"beta_fast", yarn->beta_fast},
        {"beta_slow", yarn->beta_slow},
        {"original_max_positions", yarn->original_max_positions},
        {"truncate", yarn->truncate},
    };
  if (!rope_divisors.empty()) json["rope_divisors"] = rope_divisors;
  if (rope_magnitude != 1) json["rope_magnitude"] = rope_magnitude;
  if (!windowed_layers.empty()) json["windowed_layers"] = windowed_layers;
  if (windowed_rope_theta) json["windowed_rope_theta"] = *windowed_rope_theta;
  if (!rotated_layers.empty()) json["rotated_layers"] = rotated_layers;
  if (block != block_spec{}) json["block"] = block_json(block);
  return json.dump();
}

result<model_config> read_model_config(const std::filesystem::path& model) {
  if (is_gguf(model)) return read_gguf_config(model);
  const auto path = model / "config.json";
  const auto json = read_json_file(path);
  if (!json) return json.error();
  config_reader reader{*json, path.string()};
  const auto type = reader.text("model_type", "");
  const auto* found = find_architecture(type);
  if (!found)
    reader.refuse("model_type", "one of " + known_architectures(),
                  reader.found("model_type"));
  if (reader.failure()) return *reader.failure();

  model_config config;
  config.model_type = type;
  found->read(reader, config);
  // Checked before the tokens: those are compared with the vocabulary.
  if (reader.failure()) return *reader.failure();
  // The order of the ends is a promise: the first closes what t2 scores and
  // trains on.
  const auto generation_path = model / "generation_config.json";
  const auto generation = read_json_file(generation_path);
  if (!generation && generation.error().code != ec::not_found)
    return generation.error();
  model_config generated = config;
  if (generation) {
    config_reader ends{*generation, generation_path.string()};
    read_special_tokens(ends, generated);
    reader.adopt(ends);
  }
  read_special_tokens(reader, config);
  if (const auto* nested = reader.value("text_config");
      nested && nested->is_object()) {
    config_reader inner{*nested, path.string() + ": text_config"};
    read_special_tokens(inner, config);
    reader.adopt(inner);
  }
  if (reader.failure()) return *reader.failure();
  const auto others = std::exchange(config.eos_tokens, generated.eos_tokens);
  add_ends(config, others);
  if (!config.bos_token) config.bos_token = generated.bos_token;
  return config;
}

}  // namespace t2
