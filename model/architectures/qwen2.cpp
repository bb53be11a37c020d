#include "model/architecture.hpp"

namespace t2 {

/// Qwen2 and Qwen2.5: biases on q, k and v, whatever attention_bias says. The
/// window counts only where use_sliding_window is on, and then in the layers
/// that layer_types calls sliding, or without those from max_window_layers up.
/// All layers or none can have it here; a mixture is refused.
void read_qwen2(config_reader& json, model_config& config) {
  read_decoder(json, config, {.kv_heads = 32});
  config.query_key_value_bias = true;
  if (json.boolean("mlp_bias", false))
    json.refuse("mlp_bias", "false (qwen2 has no biases there)", "true");
  constexpr std::int64_t most = std::int64_t{1} << 31;
  constexpr std::int64_t default_window = 4096, default_first = 28;
  const bool windowed = json.boolean("use_sliding_window", false) &&
                        (json.has("sliding_window") ||
                         !json.names("sliding_window"));
  const auto kind = read_layer_types(json, config);
  if (kind == layer_kind::sliding && !windowed)
    json.refuse("layer_types", "full_attention (use_sliding_window is off)",
                json.found("layer_types"));
  if (!windowed || kind == layer_kind::full) return;
  const auto window = json.integer("sliding_window", 1, most, default_window);
  const auto first = json.integer("max_window_layers", 0, most, default_first);
  if (kind == layer_kind::sliding || first == 0)
    config.sliding_window = window;
  else if (first < config.layers)
    json.refuse("max_window_layers",
                "0 or at least num_hidden_layers = " +
                    std::to_string(config.layers) +
                    " (t2 has one window for all layers)",
                std::to_string(first));
}

}  // namespace t2
