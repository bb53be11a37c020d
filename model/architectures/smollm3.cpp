#include <algorithm>

#include "model/architecture.hpp"

namespace t2 {
namespace {

/// SmolLM3: some layers do not rotate: those with a 0 in no_rope_layers, or
/// else every no_rope_layer_interval-th.
void read_rotated_layers(config_reader& json, model_config& config) {
  constexpr auto* key = "no_rope_layers";
  const auto* listed = json.value(key);
  const auto interval = json.integer("no_rope_layer_interval", 1, 1 << 12, 4);
  if (listed && (!listed->is_array() ||
                 static_cast<std::int64_t>(listed->size()) != config.layers)) {
    json.refuse(key,
                "a list of num_hidden_layers = " +
                    std::to_string(config.layers) + " zeros and ones",
                json.found(key));
    return;
  }
  for (std::int64_t l = 0; l < config.layers; ++l)
    config.rotated_layers.push_back(
        listed ? (*listed)[static_cast<std::size_t>(l)] != 0
               : (l + 1) % interval != 0);
}

void read_smollm3(config_reader& json, model_config& config) {
  read_decoder(json, config,
               {.kv_heads = 4,
                .tied = true,
                .theta_default = 2'000'000,
                .own = {"no_rope_layers"}});
  config.query_key_value_bias = json.boolean("attention_bias", false);
  config.output_bias = config.query_key_value_bias;
  config.mlp_bias = json.boolean("mlp_bias", false);
  read_rotated_layers(json, config);
  std::vector<bool> windowed;
  const auto kind = read_layer_types(json, config, &windowed);
  const bool has_window =
      json.boolean("use_sliding_window", false) && json.has("sliding_window");
  // Without a list, the window is that of the layers that do not rotate.
  if (kind == layer_kind::unsaid && has_window) {
    windowed = config.rotated_layers;
    windowed.flip();
  }
  const bool any = kind == layer_kind::sliding ||
                   std::ranges::find(windowed, true) != windowed.end();
  if (!any) return;
  if (!json.has("sliding_window"))
    json.refuse("sliding_window", "an integer (layer_types has windows)",
                json.found("sliding_window"));
  else
    config.sliding_window =
        json.integer("sliding_window", 1, std::int64_t{1} << 31);
  config.windowed_layers = std::move(windowed);
}

}  // namespace

extern const architecture family_smollm3{"smollm3", read_smollm3};

}  // namespace t2
