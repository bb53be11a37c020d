#include "model/architecture.hpp"

namespace t2 {
namespace {

/// GPT-NeoX and Pythia: layer norms and biases, attention and MLP side by
/// side, a part of each head rotated, q k v of a head stored together.
void read_gpt_neox(config_reader& json, model_config& config) {
  config.block.norm = norm_kind::layer;
  config.block.gated = false;
  config.block.parallel = json.boolean("use_parallel_residual", true);
  // Until the heads are known; any number but 0 says that the part is read.
  config.block.rotated_dims = 1;
  read_decoder(json, config,
               {.epsilon = "layer_norm_eps",
                .epsilon_default = 1e-5,
                .activation_default = "gelu",
                .theta = "rotary_emb_base",
                .own = {"use_parallel_residual", "rotary_pct",
                        "partial_rotary_factor"}});
  const auto* rope = json.object("rope_parameters");
  constexpr auto* inside = "partial_rotary_factor";
  const bool said =
      rope && rope->contains(inside) && (*rope)[inside].is_number();
  const double part =
      said ? (*rope)[inside].get<double>()
           : json.number("rotary_pct", 0, 1, json.number(inside, 0, 1, 0.25));
  config.block.rotated_dims =
      static_cast<std::int64_t>(static_cast<double>(config.head_dim) * part);
  if (config.block.rotated_dims < 2 || config.block.rotated_dims % 2 != 0 ||
      config.block.rotated_dims > config.head_dim)
    json.refuse("rotary_pct", "an even number of rotated entries of a head",
                json.found("rotary_pct"));
  config.query_key_value_bias = json.boolean("attention_bias", true);
  config.output_bias = config.query_key_value_bias;
  config.mlp_bias = true;
}

weight_names gpt_neox_names() {
  return weight_names{{
      {"model.embed_tokens", "gpt_neox.embed_in"},
      {"lm_head", "embed_out"},
      {"model.norm", "gpt_neox.final_layer_norm"},
      {"model.layers.{}.input_layernorm", "gpt_neox.layers.{}.input_layernorm"},
      {"model.layers.{}.post_attention_layernorm",
       "gpt_neox.layers.{}.post_attention_layernorm"},
      {"model.layers.{}.self_attn.q_proj",
       "gpt_neox.layers.{}.attention.query_key_value",
       stored_as::query_by_head},
      {"model.layers.{}.self_attn.k_proj",
       "gpt_neox.layers.{}.attention.query_key_value", stored_as::key_by_head},
      {"model.layers.{}.self_attn.v_proj",
       "gpt_neox.layers.{}.attention.query_key_value",
       stored_as::value_by_head},
      {"model.layers.{}.self_attn.o_proj",
       "gpt_neox.layers.{}.attention.dense"},
      {"model.layers.{}.mlp.up_proj", "gpt_neox.layers.{}.mlp.dense_h_to_4h"},
      {"model.layers.{}.mlp.down_proj", "gpt_neox.layers.{}.mlp.dense_4h_to_h"},
  }};
}

}  // namespace

extern const architecture family_gpt_neox{"gpt_neox", read_gpt_neox,
                                          gpt_neox_names};

}  // namespace t2
