#include "model/architecture.hpp"

namespace t2 {
namespace {

/// Qwen2 and Qwen2.5: biases on q, k and v, whatever attention_bias says.
void read_qwen2(config_reader& json, model_config& config) {
  read_decoder(json, config, {.kv_heads = 32});
  config.query_key_value_bias = true;
  if (json.boolean("mlp_bias", false))
    json.refuse("mlp_bias", "false (qwen2 has no biases there)", "true");
  read_qwen_window(json, config);
}

}  // namespace

extern const architecture family_qwen2{"qwen2", read_qwen2};

}  // namespace t2
