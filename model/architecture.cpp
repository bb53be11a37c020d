#include "model/architecture.hpp"

#include <array>

#include "model/neutral_settings.hpp"

namespace t2 {
namespace {

constexpr std::array<architecture, 3> architectures{{
    {"llama", read_llama},
    {"mistral", read_mistral},
    {"qwen2", read_qwen2},
}};

// Bounds far above every published model, and low enough that all products of
// sizes (parameters, bytes) stay within 63 bits.
constexpr std::int64_t max_vocabulary = 1 << 24;
constexpr std::int64_t max_width = 1 << 20;
constexpr std::int64_t max_heads = 1 << 12;
constexpr std::int64_t max_head_dim = 1 << 12;
constexpr std::int64_t max_layers = 1 << 12;
constexpr std::int64_t max_positions = std::int64_t{1} << 31;

/// The rope settings of transformers: rope_scaling unless it is empty, else
/// rope_parameters; never both.
const char* rope_settings(config_reader& json) {
  const auto* scaling = json.object("rope_scaling");
  return scaling && !scaling->empty() ? "rope_scaling" : "rope_parameters";
}

void read_llama3(config_reader& json, config_reader& rope,
                 model_config& config) {
  llama3_rope_scaling scaling;
  scaling.factor = rope.number("factor", 1, 1e6);
  scaling.low_frequency_factor = rope.number("low_freq_factor", 1e-6, 1e6);
  scaling.high_frequency_factor = rope.number("high_freq_factor", 1e-6, 1e6);
  // One beside the settings goes before one within them.
  constexpr auto* original = "original_max_position_embeddings";
  auto& where = json.has(original) ? json : rope;
  scaling.original_max_positions =
      where.integer(original, 1, max_positions, config.max_positions);
  if (scaling.high_frequency_factor <= scaling.low_frequency_factor)
    rope.refuse("high_freq_factor", "a number above low_freq_factor",
                rope.found("high_freq_factor"));
  config.rope_scaling = scaling;
}

void read_rope_type(config_reader& json, config_reader& rope,
                    model_config& config) {
  const auto* key = rope.names("rope_type") ? "rope_type" : "type";
  if (rope.names(key) && !rope.has(key))
    rope.refuse(key, "default or llama3", "null");
  const auto type = rope.text(key, "default");
  if (type == "llama3")
    read_llama3(json, rope, config);
  else if (type != "default")
    rope.refuse("rope_type", "default or llama3", "\"" + type + "\"");
  if (rope.number("partial_rotary_factor", 0, 1, 1) != 1)
    rope.refuse("partial_rotary_factor", "1",
                rope.found("partial_rotary_factor"));
}

/// Older files: rope_theta and rope_scaling. Newer ones: rope_parameters,
/// which holds both. What a file says twice is read as transformers reads it
/// (tests/model/make_config_cases.py).
void read_rope(config_reader& json, model_config& config) {
  constexpr double default_theta = 10000;
  const nlohmann::json nothing = nlohmann::json::object();
  const std::string key = rope_settings(json);
  const auto* settings = json.object(key);
  config_reader rope{settings ? *settings : nothing, json.file() + ": " + key};
  if (settings)
    for (const auto& [name, value] : settings->items())
      if (value.is_object())
        rope.refuse(name, "a number or a text (t2 has one rotary embedding "
                          "for all layers)",
                    "an object");
  auto& theta = rope.names("rope_theta") ? rope : json;
  if (theta.names("rope_theta") && !theta.has("rope_theta"))
    theta.refuse("rope_theta", "a number", "null");
  config.rope_theta = theta.number("rope_theta", 1, 1e12, default_theta);
  read_rope_type(json, rope, config);
  json.adopt(rope);
}

void read_heads(config_reader& json, model_config& config,
                decoder_defaults defaults) {
  config.heads = json.integer("num_attention_heads", 1, max_heads);
  const auto all =
      json.names("num_key_value_heads") || defaults.kv_heads == 0
          ? config.heads
          : defaults.kv_heads;
  config.kv_heads = json.integer("num_key_value_heads", 1, max_heads, all);
  if (config.heads % config.kv_heads != 0)
    json.refuse("num_key_value_heads",
                "a divisor of num_attention_heads = " +
                    std::to_string(config.heads),
                std::to_string(config.kv_heads));
  if (!json.has("head_dim") && config.hidden % config.heads != 0)
    json.refuse("num_attention_heads",
                "a divisor of hidden_size = " + std::to_string(config.hidden) +
                    ", or head_dim",
                std::to_string(config.heads));
  config.head_dim = json.integer("head_dim", 2, max_head_dim,
                                 config.hidden / config.heads);
  if (config.head_dim % 2 != 0 || config.head_dim < 2)
    json.refuse("head_dim", "an even number (pairs are rotated)",
                std::to_string(config.head_dim));
}

}  // namespace

const architecture* find_architecture(std::string_view model_type) {
  for (const auto& known : architectures)
    if (known.model_type == model_type) return &known;
  return nullptr;
}

std::string known_architectures() {
  std::string names;
  for (const auto& known : architectures)
    names += (names.empty() ? "" : ", ") + std::string{known.model_type};
  return names;
}

layer_kind read_layer_types(config_reader& json, const model_config& config) {
  constexpr auto* key = "layer_types";
  const auto* types = json.value(key);
  if (!types) return layer_kind::unsaid;
  if (!types->is_array() ||
      static_cast<std::int64_t>(types->size()) != config.layers) {
    json.refuse(key, "a list of num_hidden_layers = " +
                         std::to_string(config.layers) + " kinds",
                json.found(key));
    return layer_kind::unsaid;
  }
  const auto kind_of = [](const nlohmann::json& type) {
    const auto* text = type.get_ptr<const std::string*>();
    if (text && *text == "full_attention") return layer_kind::full;
    if (text && *text == "sliding_attention") return layer_kind::sliding;
    return layer_kind::unsaid;
  };
  const auto first = kind_of(types->front());
  for (const auto& type : *types)
    if (const auto kind = kind_of(type);
        kind != first || kind == layer_kind::unsaid)
      json.refuse(key, "full_attention or sliding_attention for all layers",
                  json.found(key));
  return first;
}

void read_decoder(config_reader& json, model_config& config,
                  decoder_defaults defaults) {
  config.vocabulary = json.integer("vocab_size", 1, max_vocabulary);
  config.hidden = json.integer("hidden_size", 1, max_width);
  config.intermediate = json.integer("intermediate_size", 1, max_width);
  config.layers = json.integer("num_hidden_layers", 1, max_layers);
  config.max_positions =
      json.integer("max_position_embeddings", 1, max_positions);
  read_heads(json, config, defaults);
  config.norm_epsilon = json.number("rms_norm_eps", 0, 1, 1e-6);
  config.tied_embeddings = json.boolean("tie_word_embeddings", false);
  read_rope(json, config);
  for (const auto* key : {"hidden_act", "hidden_activation"})
    if (const auto act = json.text(key, "silu"); act != "silu" && act != "swish")
      json.refuse(key, "\"silu\"", json.found(key));
  refuse_other_numbers(json, config);
  if (json.has("quantization_config"))
    json.refuse("quantization_config", "none (float32, bfloat16 or float16 "
                                       "weights)",
                "a quantised model");
}

}  // namespace t2
