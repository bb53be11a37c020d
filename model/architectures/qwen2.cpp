#include "model/architecture.hpp"

namespace t2 {

/// Qwen2 and Qwen2.5: biases on q, k and v. The window counts only where
/// use_sliding_window is on, and then from layer max_window_layers up. All
/// layers or none can have it here; a mixture is refused.
void read_qwen2(config_reader& json, model_config& config) {
  read_decoder(json, config, {.kv_heads = 32});
  config.query_key_value_bias = true;
  if (!json.boolean("use_sliding_window", false) ||
      !json.has("sliding_window"))
    return;
  const auto window = json.integer("sliding_window", 1, std::int64_t{1} << 31);
  constexpr std::int64_t default_first = 28;
  const auto first = json.integer("max_window_layers", 0,
                                  std::int64_t{1} << 31, default_first);
  if (first == 0)
    config.sliding_window = window;
  else if (first < config.layers)
    json.refuse("max_window_layers",
                "0 or at least num_hidden_layers = " +
                    std::to_string(config.layers) +
                    " (t2 has one window for all layers)",
                std::to_string(first));
}

}  // namespace t2
