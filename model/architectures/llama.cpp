#include "model/architecture.hpp"

namespace t2 {

/// Llama 2 and 3, and all that publish themselves as such (SmolLM2).
void read_llama(config_reader& json, model_config& config) {
  read_decoder(json, config, {});
  config.query_key_value_bias = json.boolean("attention_bias", false);
  config.output_bias = config.query_key_value_bias;
  config.mlp_bias = json.boolean("mlp_bias", false);
}

}  // namespace t2
