#include <cmath>

#include "model/architecture.hpp"

namespace t2 {
namespace {

/// Bases of the layers with and without a window. Newer files have both in
/// rope_parameters, by kind of layer.
void read_bases(config_reader& json, model_config& config) {
  config.windowed_rope_theta =
      json.number("rope_local_base_freq", 1, 1e12, 10000);
  const auto* both = json.object("rope_parameters");
  if (!both) return;
  const auto read = [&](const char* kind, double fallback) {
    const auto at = both->find(kind);
    if (at == both->end() || !at->is_object()) return fallback;
    config_reader rope{*at, json.file() + ": rope_parameters: " + kind};
    const auto type = rope.text("rope_type", "default");
    if (type == "linear" && kind[0] == 'f')
      config.rope_factor = rope.number("factor", 1, 1e6);
    else if (type != "default")
      rope.refuse("rope_type", "default, or linear without a window",
                  rope.found("rope_type"));
    const auto theta = rope.number("rope_theta", 1, 1e12, fallback);
    json.adopt(rope);
    return theta;
  };
  config.rope_theta = read("full_attention", config.rope_theta);
  config.windowed_rope_theta =
      read("sliding_attention", *config.windowed_rope_theta);
}

/// Gemma 3's text models: norms around attention and MLP whose weights are
/// stored minus one, normalised heads, windows with a base of their own in
/// five of six layers, scaled embeddings.
void read_gemma3(config_reader& json, model_config& config) {
  config.block.norm_plus_one = true;
  config.block.norm_behind = true;
  config.block.heads = head_norm::each;
  read_decoder(json, config,
               {.kv_heads = 4,
                .head_dim = 256,
                .tied = true,
                .theta_default = 1'000'000,
                .activation = "hidden_activation",
                .activation_default = "gelu_pytorch_tanh",
                .own = {"query_pre_attn_scalar", "rope_parameters"}});
  read_bases(json, config);
  config.block.embedding_scale = std::sqrt(static_cast<double>(config.hidden));
  config.block.attention_scale =
      1 / std::sqrt(json.number("query_pre_attn_scalar", 1e-3, 1e6, 256));
  config.query_key_value_bias = json.boolean("attention_bias", false);
  config.output_bias = config.query_key_value_bias;

  read_windows(json, config,
               json.integer("sliding_window_pattern", 1, 1 << 12, 6));
  if (!config.sliding_window) config.windowed_rope_theta.reset();
}

}  // namespace

extern const architecture family_gemma3_text{"gemma3_text", read_gemma3,
                                             names_with_norms_around};

}  // namespace t2
