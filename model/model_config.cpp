#include "model/model_config.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/architecture.hpp"
#include "model/config_reader.hpp"
#include "model/json_file.hpp"

namespace t2 {
namespace {

/// `key` as a token id, a list of them, or nothing.
std::vector<std::int32_t> read_tokens(config_reader& reader,
                                      const nlohmann::json& json,
                                      const char* key,
                                      std::int64_t vocabulary) {
  std::vector<std::int32_t> tokens;
  if (!reader.has(key)) return tokens;
  const auto& value = json.at(key);
  const auto list = value.is_array() ? value : nlohmann::json::array({value});
  for (const auto& item : list) {
    if (!item.is_number_unsigned() ||
        item.get<std::uint64_t>() >= static_cast<std::uint64_t>(vocabulary)) {
      reader.refuse(key,
                    "token ids below vocab_size = " +
                        std::to_string(vocabulary),
                    reader.found(key));
      return {};
    }
    tokens.push_back(item.get<std::int32_t>());
  }
  return tokens;
}

/// generation_config.json's tokens, where it has them, count.
result<void> read_generation_config(const std::filesystem::path& path,
                                    model_config& config) {
  const auto json = read_json_file(path);
  if (!json) {
    if (json.error().code == ec::not_found) return {};
    return json.error();
  }
  config_reader reader{*json, path.string()};
  auto eos = read_tokens(reader, *json, "eos_token_id", config.vocabulary);
  if (reader.failure()) return *reader.failure();
  if (!eos.empty()) config.eos_tokens = std::move(eos);
  return {};
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
  const auto bos = read_tokens(reader, *json, "bos_token_id",
                               config.vocabulary);
  if (!bos.empty()) config.bos_token = bos.front();
  config.eos_tokens =
      read_tokens(reader, *json, "eos_token_id", config.vocabulary);
  if (reader.failure()) return *reader.failure();
  if (auto done =
          read_generation_config(folder / "generation_config.json", config);
      !done)
    return done.error();
  return config;
}

}  // namespace t2
