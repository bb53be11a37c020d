#include "model/model_config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/logging.hpp"
#include "model/architecture.hpp"
#include "model/config_reader.hpp"
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

}  // namespace

std::int64_t model_config::parameters() const {
  const auto query = heads * head_dim, key = kv_heads * head_dim;
  auto layer = 2 * hidden                           // the two norms
               + hidden * (query + 2 * key)         // q, k, v
               + query * hidden                     // o
               + 3 * hidden * intermediate;         // gate, up, down
  if (query_key_value_bias) layer += query + 2 * key;
  if (output_bias) layer += hidden;
  if (mlp_bias) layer += 2 * intermediate + hidden;
  const auto embeddings = (tied_embeddings ? 1 : 2) * vocabulary * hidden;
  return layers * layer + embeddings + hidden;
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
  return json.dump();
}

result<model_config> read_model_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
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
  const auto generation_path = folder / "generation_config.json";
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
