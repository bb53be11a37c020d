#include "model/architecture.hpp"

namespace t2 {
namespace {

/// OLMo 2: norms stand behind attention and MLP, and all heads of queries, and
/// of keys, are normalised at once.
void read_olmo2(config_reader& json, model_config& config) {
  config.block.norm_before = false;
  config.block.norm_behind = true;
  config.block.heads = head_norm::whole;
  read_decoder(json, config, {.epsilon_default = 1e-5});
  config.query_key_value_bias = json.boolean("attention_bias", false);
  config.output_bias = config.query_key_value_bias;
  if (read_layer_types(json, config) == layer_kind::sliding)
    json.refuse("layer_types", "full_attention (olmo2 has no window)",
                json.found("layer_types"));
}

weight_names olmo2_names() {
  return weight_names{{
      {"model.layers.{}.self_attn.output_norm",
       "model.layers.{}.post_attention_layernorm"},
      {"model.layers.{}.mlp.output_norm",
       "model.layers.{}.post_feedforward_layernorm"},
  }};
}

}  // namespace

extern const architecture family_olmo2{"olmo2", read_olmo2, olmo2_names};

}  // namespace t2
