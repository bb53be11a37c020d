#include "model/architecture.hpp"

namespace t2 {
namespace {

/// Phi-3 and Phi-4-mini: q k v are stored as one tensor, gate and up as
/// another.
void read_phi3(config_reader& json, model_config& config) {
  read_decoder(json, config,
               {.epsilon_default = 1e-5,
                .partial_rotary = true,
                .original_positions = 4096,
                .own = {"partial_rotary_factor"}});
  for (const auto* key : {"attention_bias", "mlp_bias"})
    if (json.boolean(key, false))
      json.refuse(key, "false (phi3 has no biases)", "true");
  if (json.has("sliding_window"))
    config.sliding_window =
        json.integer("sliding_window", 1, std::int64_t{1} << 31);
}

weight_names phi3_names() {
  return weight_names{{
      {"model.layers.{}.self_attn.q_proj", "model.layers.{}.self_attn.qkv_proj",
       stored_as::query},
      {"model.layers.{}.self_attn.k_proj", "model.layers.{}.self_attn.qkv_proj",
       stored_as::key},
      {"model.layers.{}.self_attn.v_proj", "model.layers.{}.self_attn.qkv_proj",
       stored_as::value},
      {"model.layers.{}.mlp.gate_proj", "model.layers.{}.mlp.gate_up_proj",
       stored_as::gate},
      {"model.layers.{}.mlp.up_proj", "model.layers.{}.mlp.gate_up_proj",
       stored_as::up},
  }};
}

}  // namespace

extern const architecture family_phi3{"phi3", read_phi3, phi3_names};

}  // namespace t2
