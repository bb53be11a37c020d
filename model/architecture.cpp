#include "model/architecture.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "model/neutral_settings.hpp"

namespace t2 {

#define T2_FAMILY(name) extern const architecture family_##name;
#include "model/families.inc"
#undef T2_FAMILY

namespace {

/// One for each file of architectures/; the build writes the list.
const std::array architectures{
#define T2_FAMILY(name) &family_##name,
#include "model/families.inc"
#undef T2_FAMILY
};

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

/// The context before it was stretched; one beside the settings goes before one
/// within them.
std::int64_t original_positions(config_reader& json, config_reader& rope,
                                const model_config& config,
                                const decoder_keys& keys) {
  constexpr auto* key = "original_max_position_embeddings";
  const bool beside = json.has(key) || keys.original_positions > 0;
  return (beside ? json : rope)
      .integer(key, 1, max_positions,
               beside ? keys.original_positions : config.max_positions);
}

void read_llama3(config_reader& json, config_reader& rope,
                 model_config& config, const decoder_keys& keys) {
  llama3_rope_scaling scaling;
  scaling.factor = rope.number("factor", 1, 1e6);
  scaling.low_frequency_factor = rope.number("low_freq_factor", 1e-6, 1e6);
  scaling.high_frequency_factor = rope.number("high_freq_factor", 1e-6, 1e6);
  scaling.original_max_positions = original_positions(json, rope, config, keys);
  if (scaling.high_frequency_factor <= scaling.low_frequency_factor)
    rope.refuse("high_freq_factor", "a number above low_freq_factor",
                rope.found("high_freq_factor"));
  config.rope_scaling = scaling;
}

/// `factor`, or where it is null the ratio of the contexts.
double stretch(config_reader& rope, const model_config& config,
               std::int64_t original) {
  if (rope.names("factor") && !rope.has("factor"))
    return static_cast<double>(config.max_positions) /
           static_cast<double>(original);
  return rope.number("factor", 1, 1e6);
}

void read_yarn(config_reader& json, config_reader& rope,
               model_config& config, const decoder_keys& keys) {
  yarn_rope_scaling scaling;
  scaling.original_max_positions = original_positions(json, rope, config, keys);
  scaling.factor = stretch(rope, config, scaling.original_max_positions);
  const auto beta = [&](const char* key, double usual) {
    const auto given = rope.number(key, 0, 1e6, usual);
    return given == 0 ? usual : given;
  };
  scaling.beta_fast = beta("beta_fast", scaling.beta_fast);
  scaling.beta_slow = beta("beta_slow", scaling.beta_slow);
  scaling.truncate = rope.boolean("truncate", true);
  const auto magnitude = [&](double scale) {
    return scaling.factor <= 1 ? 1 : 0.1 * scale * std::log(scaling.factor) + 1;
  };
  const auto scale = rope.number("mscale", 0, 1e6, 0);
  const auto all = rope.number("mscale_all_dim", 0, 1e6, 0);
  config.rope_magnitude =
      rope.number("attention_factor", 0, 1e6,
                  scale != 0 && all != 0 ? magnitude(scale) / magnitude(all)
                                         : magnitude(1));
  config.yarn = scaling;
}

/// Two sets of factors, for texts within the original context and beyond. Keys
/// are kept rotated, so that a text cannot change from one to the other: the
/// context is the original one.
void read_longrope(config_reader& json, config_reader& rope,
                   model_config& config, const decoder_keys& keys) {
  const auto original = original_positions(json, rope, config, keys);
  const auto factor = rope.has("factor")
                          ? rope.number("factor", 0, 1e6)
                          : static_cast<double>(config.max_positions) /
                                static_cast<double>(original);
  const auto usual = factor <= 1 || original < 2
                         ? 1
                         : std::sqrt(1 + std::log(factor) /
                                             std::log(static_cast<double>(
                                                 original)));
  config.rope_magnitude = rope.number("attention_factor", 0, 1e6, usual);
  config.max_positions = std::min(config.max_positions, original);
  const auto count =
      static_cast<std::size_t>(std::max<std::int64_t>(0, config.rotated_dims() / 2));
  const auto* factors = rope.value("short_factor");
  const auto is_divisor = [](const nlohmann::json& x) {
    return x.is_number() && x.get<double>() > 0 && x.get<double>() < 1e6;
  };
  if (!factors || !factors->is_array() || factors->size() != count ||
      !std::ranges::all_of(*factors, is_divisor))
    return rope.refuse("short_factor",
                       std::to_string(count) +
                           " numbers above 0, one for each rotated pair",
                       rope.found("short_factor"));
  config.rope_divisors = factors->get<std::vector<double>>();
}

void read_part(config_reader& json, config_reader& rope,
               model_config& config) {
  constexpr auto* key = "partial_rotary_factor";
  auto& where = rope.has(key) ? rope : json;
  const auto part = where.number(key, 0, 1, 1);
  const auto dims =
      static_cast<std::int64_t>(static_cast<double>(config.head_dim) * part);
  if (dims < 2 || dims % 2 != 0)
    where.refuse(key, "an even number of rotated entries of a head",
                 where.found(key));
  else if (dims != config.head_dim)
    config.block.rotated_dims = dims;
}

void read_rope_type(config_reader& json, config_reader& rope,
                    model_config& config, const decoder_keys& keys) {
  constexpr auto* known = "default, linear, dynamic, llama3, yarn or longrope";
  const auto* key = rope.names("rope_type") ? "rope_type" : "type";
  if (rope.names(key) && !rope.has(key)) rope.refuse(key, known, "null");
  if (keys.partial_rotary)
    read_part(json, rope, config);
  else if (config.block.rotated_dims == 0 &&
           rope.number("partial_rotary_factor", 0, 1, 1) != 1)
    rope.refuse("partial_rotary_factor", "1",
                rope.found("partial_rotary_factor"));
  const auto type = rope.text(key, "default");
  if (type == "llama3")
    read_llama3(json, rope, config, keys);
  else if (type == "linear")
    config.rope_factor = rope.number("factor", 1, 1e6);
  else if (type == "dynamic")  // only beyond max_position_embeddings
    static_cast<void>(rope.number("factor", 1, 1e6));
  else if (type == "yarn")
    read_yarn(json, rope, config, keys);
  else if (type == "longrope")
    read_longrope(json, rope, config, keys);
  else if (type != "default")
    rope.refuse("rope_type", known, "\"" + type + "\"");
}

/// Older files: rope_theta and rope_scaling. Newer ones: rope_parameters,
/// which holds both. What a file says twice is read as transformers reads it
/// (tests/model/make_config_cases.py).
void read_rope(config_reader& json, model_config& config,
               const decoder_keys& keys) {
  const nlohmann::json nothing = nlohmann::json::object();
  const std::string key = rope_settings(json);
  const auto* settings = json.object(key);
  config_reader rope{settings ? *settings : nothing, json.file() + ": " + key};
  if (settings && std::ranges::find(keys.own, key) == keys.own.end())
    for (const auto& [name, value] : settings->items())
      if (value.is_object())
        rope.refuse(name, "a number or a text (t2 has one rotary embedding "
                          "for all layers)",
                    "an object");
  const bool inside = rope.names("rope_theta");
  auto& theta = inside ? rope : json;
  const auto* name = inside ? "rope_theta" : keys.theta;
  if (theta.names(name) && !theta.has(name))
    theta.refuse(name, "a number", "null");
  config.rope_theta = theta.number(name, 1, 1e12, keys.theta_default);
  read_rope_type(json, rope, config, keys);
  json.adopt(rope);
}

void read_heads(config_reader& json, model_config& config,
                const decoder_keys& keys) {
  config.heads = json.integer(keys.heads, 1, max_heads);
  const auto all = json.names("num_key_value_heads") || keys.kv_heads == 0
                       ? config.heads
                       : keys.kv_heads;
  config.kv_heads = json.integer("num_key_value_heads", 1, max_heads, all);
  if (config.heads % config.kv_heads != 0)
    json.refuse("num_key_value_heads",
                "a divisor of " + std::string{keys.heads} + " = " +
                    std::to_string(config.heads),
                std::to_string(config.kv_heads));
  // An explicit null means the quotient, whatever the family's default.
  const bool quotient = keys.head_dim == 0 ||
                        (json.names("head_dim") && !json.has("head_dim"));
  if (!json.has("head_dim") && quotient && config.hidden % config.heads != 0)
    json.refuse(keys.heads,
                "a divisor of " + std::string{keys.hidden} + " = " +
                    std::to_string(config.hidden) + ", or head_dim",
                std::to_string(config.heads));
  config.head_dim = json.integer(
      "head_dim", 2, max_head_dim,
      quotient ? config.hidden / config.heads : keys.head_dim);
  if (config.head_dim % 2 != 0 || config.head_dim < 2)
    json.refuse("head_dim", "an even number (pairs are rotated)",
                std::to_string(config.head_dim));
}

}  // namespace

const architecture* find_architecture(std::string_view model_type) {
  for (const auto* known : architectures)
    if (known->model_type == model_type) return known;
  return nullptr;
}

std::string known_architectures() {
  std::string names;
  for (const auto* known : architectures)
    names += (names.empty() ? "" : ", ") + std::string{known->model_type};
  return names;
}

layer_kind read_layer_types(config_reader& json, const model_config& config,
                            std::vector<bool>* windowed) {
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
  std::vector<bool> sliding;
  for (const auto& type : *types) {
    const auto* text = type.get_ptr<const std::string*>();
    if (!text || (*text != "full_attention" && *text != "sliding_attention"))
      json.refuse(key, "full_attention or sliding_attention for each layer",
                  json.found(key));
    sliding.push_back(text && *text == "sliding_attention");
  }
  const auto count = std::ranges::count(sliding, true);
  if (count == 0) return layer_kind::full;
  if (count == config.layers) return layer_kind::sliding;
  if (windowed)
    *windowed = std::move(sliding);
  else
    json.refuse(key, "one kind for all layers", json.found(key));
  return layer_kind::mixed;
}

void read_windows(config_reader& json, model_config& config,
                  std::int64_t every) {
  const auto kind = read_layer_types(json, config, &config.windowed_layers);
  if (kind == layer_kind::unsaid)
    for (std::int64_t l = 0; l < config.layers; ++l)
      config.windowed_layers.push_back((l + 1) % every != 0);
  if (kind == layer_kind::full) return;
  if (json.names("sliding_window") && !json.has("sliding_window"))
    json.refuse("sliding_window", "an integer (layers have windows)", "null");
  config.sliding_window = json.integer("sliding_window", 1, max_positions, 4096);
}

weight_names names_with_norms_around() {
  return weight_names{{
      {"model.layers.{}.self_attn.output_norm",
       "model.layers.{}.post_attention_layernorm"},
      {"model.layers.{}.post_attention_layernorm",
       "model.layers.{}.pre_feedforward_layernorm"},
      {"model.layers.{}.mlp.output_norm",
       "model.layers.{}.post_feedforward_layernorm"},
  }};
}

void read_qwen_window(config_reader& json, model_config& config) {
  constexpr std::int64_t most = std::int64_t{1} << 31;
  constexpr std::int64_t default_window = 4096, default_first = 28;
  const bool windowed = json.boolean("use_sliding_window", false) &&
                        (json.has("sliding_window") ||
                         !json.names("sliding_window"));
  std::vector<bool> layers;
  const auto kind = read_layer_types(json, config, &layers);
  if (!windowed && (kind == layer_kind::sliding || kind == layer_kind::mixed))
    json.refuse("layer_types", "full_attention (use_sliding_window is off)",
                json.found("layer_types"));
  if (!windowed || kind == layer_kind::full) return;
  const auto window = json.integer("sliding_window", 1, most, default_window);
  const auto first = json.integer("max_window_layers", 0, most, default_first);
  if (kind == layer_kind::unsaid && first >= config.layers) return;
  config.sliding_window = window;
  if (kind == layer_kind::sliding || (kind == layer_kind::unsaid && first == 0))
    return;
  if (kind == layer_kind::unsaid)
    for (std::int64_t l = 0; l < config.layers; ++l)
      layers.push_back(l >= first);
  config.windowed_layers = std::move(layers);
}

namespace {

void read_activation(config_reader& json, model_config& config,
                     const decoder_keys& keys) {
  const auto read = [&](const char* key) {
    const auto act = json.text(key, keys.activation_default);
    if (act == "silu" || act == "swish") return activation_kind::silu;
    if (act == "gelu") return activation_kind::gelu;
    if (act != "gelu_new" && act != "gelu_pytorch_tanh")
      json.refuse(key, "silu, gelu, gelu_new or gelu_pytorch_tanh",
                  json.found(key));
    return activation_kind::gelu_tanh;
  };
  config.block.activation = read(keys.activation);
  constexpr const char* other = "hidden_activation";
  if (json.has(other) && read(other) != config.block.activation)
    json.refuse(other, "that of " + std::string{keys.activation},
                json.found(other));
}

}  // namespace

void read_decoder(config_reader& json, model_config& config,
                  const decoder_keys& keys) {
  config.vocabulary = json.integer("vocab_size", 1, max_vocabulary);
  config.hidden = json.integer(keys.hidden, 1, max_width);
  config.intermediate =
      keys.intermediate_default == 0
          ? json.integer(keys.intermediate, 1, max_width)
          : json.integer(keys.intermediate, 1, max_width,
                         keys.intermediate_default * config.hidden);
  config.layers = json.integer(keys.layers, 1, max_layers);
  config.max_positions = json.integer(keys.positions, 1, max_positions);
  read_heads(json, config, keys);
  config.norm_epsilon =
      json.number(keys.epsilon, 0, 1, keys.epsilon_default);
  config.tied_embeddings = json.boolean("tie_word_embeddings", keys.tied);
  if (!config.block.learned_positions) read_rope(json, config, keys);
  read_activation(json, config, keys);
  refuse_other_numbers(json, config, keys.own);
  if (json.has("quantization_config"))
    json.refuse("quantization_config", "none (float32, bfloat16 or float16 "
                                       "weights)",
                "a quantised model");
}

}  // namespace t2
