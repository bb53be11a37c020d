#include "model/architecture.hpp"

namespace t2 {
namespace {

/// GPT-2: layer norms and biases everywhere, positions that are learnt, an MLP
/// without a gate, and weights that are stored [in, out], q k v in one.
void read_gpt2(config_reader& json, model_config& config) {
  config.block.norm = norm_kind::layer;
  config.block.gated = false;
  config.block.learned_positions = true;
  read_decoder(json, config,
               {.tied = true,
                .hidden = "n_embd",
                .intermediate = "n_inner",
                .intermediate_default = 4,
                .layers = "n_layer",
                .heads = "n_head",
                .positions = "n_positions",
                .epsilon = "layer_norm_epsilon",
                .epsilon_default = 1e-5,
                .activation = "activation_function",
                .activation_default = "gelu_new",
                .own = {"reorder_and_upcast_attn"}});
  config.query_key_value_bias = true;
  config.output_bias = true;
  config.mlp_bias = true;
  if (!json.boolean("scale_attn_weights", true))
    config.block.attention_scale = 1;
}

weight_names gpt2_names() {
  return weight_names{{
      {"model.embed_tokens", "wte"},
      {"model.embed_positions", "wpe"},
      {"model.norm", "ln_f"},
      {"model.layers.{}.input_layernorm", "h.{}.ln_1"},
      {"model.layers.{}.post_attention_layernorm", "h.{}.ln_2"},
      {"model.layers.{}.self_attn.q_proj", "h.{}.attn.c_attn",
       stored_as::transposed_query},
      {"model.layers.{}.self_attn.k_proj", "h.{}.attn.c_attn",
       stored_as::transposed_key},
      {"model.layers.{}.self_attn.v_proj", "h.{}.attn.c_attn",
       stored_as::transposed_value},
      {"model.layers.{}.self_attn.o_proj", "h.{}.attn.c_proj",
       stored_as::transposed},
      {"model.layers.{}.mlp.up_proj", "h.{}.mlp.c_fc", stored_as::transposed},
      {"model.layers.{}.mlp.down_proj", "h.{}.mlp.c_proj",
       stored_as::transposed},
  }, "transformer."};
}

}  // namespace

extern const architecture family_gpt2{"gpt2", read_gpt2, gpt2_names};

}  // namespace t2
