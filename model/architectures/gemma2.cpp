#include <cmath>

#include "model/architecture.hpp"

namespace t2 {
namespace {

/// Gemma 2: norms around attention and MLP whose weights are stored minus one,
/// a window in every other layer, scaled embeddings, caps on scores and logits.
void read_gemma2(config_reader& json, model_config& config) {
  config.block.norm_plus_one = true;
  config.block.norm_behind = true;
  read_decoder(json, config,
               {.kv_heads = 4,
                .head_dim = 256,
                .tied = true,
                .activation = "hidden_activation",
                .activation_default = "gelu_pytorch_tanh",
                .own = {"query_pre_attn_scalar", "attn_logit_softcapping",
                        "final_logit_softcapping"}});
  config.block.embedding_scale = std::sqrt(static_cast<double>(config.hidden));
  config.block.attention_scale =
      1 / std::sqrt(json.number("query_pre_attn_scalar", 1e-3, 1e6, 256));
  // null: none.
  const auto cap = [&](const char* key, double usual) {
    return json.names(key) && !json.has(key) ? 0
                                             : json.number(key, 1e-3, 1e6, usual);
  };
  config.block.attention_cap = cap("attn_logit_softcapping", 50);
  config.block.logit_cap = cap("final_logit_softcapping", 30);
  config.query_key_value_bias = json.boolean("attention_bias", false);
  config.output_bias = config.query_key_value_bias;
  read_windows(json, config, 2);
}

}  // namespace

extern const architecture family_gemma2{"gemma2", read_gemma2,
                                        names_with_norms_around};

}  // namespace t2
