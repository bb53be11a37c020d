#include "model/architecture.hpp"

namespace t2 {
namespace {

/// Qwen3's dense models: each head of queries and keys is normalised before it
/// is rotated, and a head's size is its own.
void read_qwen3(config_reader& json, model_config& config) {
  config.block.heads = head_norm::each;
  read_decoder(json, config, {.kv_heads = 32, .head_dim = 128});
  config.query_key_value_bias = json.boolean("attention_bias", false);
  config.output_bias = config.query_key_value_bias;
  if (json.boolean("mlp_bias", false))
    json.refuse("mlp_bias", "false (qwen3 has no biases there)", "true");
  read_qwen_window(json, config);
}

}  // namespace

extern const architecture family_qwen3{"qwen3", read_qwen3};

}  // namespace t2
