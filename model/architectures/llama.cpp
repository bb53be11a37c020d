#include "config/logging.hpp"
#include "model/architecture.hpp"

namespace t2 {
namespace {

/// Llama 2 and 3, and all that publish themselves as such (SmolLM2). The
/// reference implementation has no window: a sliding_window that a converter
/// left in the file is not used, there and here.
void read_llama(config_reader& json, model_config& config) {
  read_decoder(json, config, {});
  config.query_key_value_bias = json.boolean("attention_bias", false);
  config.output_bias = config.query_key_value_bias;
  config.mlp_bias = json.boolean("mlp_bias", false);
  if (read_layer_types(json, config) == layer_kind::sliding)
    json.refuse("layer_types", "full_attention (llama has no window)",
                json.found("layer_types"));
  if (json.has("sliding_window") && json.boolean("use_sliding_window", true))
    log(log_level::warn, json.file() +
                             ": sliding_window: not used, as llama "
                             "has no window");
}

}  // namespace

extern const architecture family_llama{"llama", read_llama};

}  // namespace t2
