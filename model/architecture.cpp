#include "model/architecture.hpp"

#include <array>

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

void read_rope_type(config_reader& rope, model_config& config) {
  const auto type = rope.text("rope_type", rope.text("type", "default"));
  if (type == "llama3") {
    llama3_rope_scaling scaling;
    scaling.factor = rope.number("factor", 1, 1e6);
    scaling.low_frequency_factor = rope.number("low_freq_factor", 1e-6, 1e6);
    scaling.high_frequency_factor = rope.number("high_freq_factor", 1e-6, 1e6);
    scaling.original_max_positions =
        rope.integer("original_max_position_embeddings", 1, max_positions);
    if (scaling.high_frequency_factor <= scaling.low_frequency_factor)
      rope.refuse("high_freq_factor", "a number above low_freq_factor",
                  rope.found("high_freq_factor"));
    config.rope_scaling = scaling;
  } else if (type != "default") {
    rope.refuse("rope_type", "default or llama3", "\"" + type + "\"");
  }
  if (rope.number("partial_rotary_factor", 0, 1, 1) != 1)
    rope.refuse("partial_rotary_factor", "1",
                rope.found("partial_rotary_factor"));
}

/// Older files: rope_theta and rope_scaling. Newer ones: rope_parameters,
/// which holds both.
void read_rope(config_reader& json, model_config& config) {
  constexpr double default_theta = 10000;
  config.rope_theta = json.number("rope_theta", 1, 1e12, default_theta);
  if (json.number("partial_rotary_factor", 0, 1, 1) != 1)
    json.refuse("partial_rotary_factor", "1",
                json.found("partial_rotary_factor"));
  if (json.boolean("rope_interleaved", false))
    json.refuse("rope_interleaved", "false", "true");
  for (const auto* key : {"rope_scaling", "rope_parameters"}) {
    const auto* nested = json.object(key);
    if (!nested) continue;
    config_reader rope{*nested, json.file() + ": " + key};
    config.rope_theta =
        rope.number("rope_theta", 1, 1e12, config.rope_theta);
    config.rope_scaling.reset();
    read_rope_type(rope, config);
    json.adopt(rope);
  }
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
  if (const auto act = json.text("hidden_act", "silu"); act != "silu")
    json.refuse("hidden_act", "\"silu\"", json.found("hidden_act"));
  if (json.has("quantization_config"))
    json.refuse("quantization_config", "none (float32, bfloat16 or float16 "
                                       "weights)",
                "a quantised model");
}

}  // namespace t2
