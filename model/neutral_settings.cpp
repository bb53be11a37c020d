#include "model/neutral_settings.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace t2 {
namespace {

/// Nothing but null is neutral.
constexpr std::array<std::string_view, 14> none{
    "attn_logit_softcapping", "final_logit_softcapping",
    "router_logit_softcapping", "logit_softcapping",
    "attn_logit_softcap",     "final_logit_softcap",
    "attention_chunk_size",   "clip_qkv",
    "per_layer_config",       "compression_config",
    "quantization",           "block_configs",
    "attn_scale",             "mlp_multipliers",
};

constexpr std::array<std::string_view, 20> off{
    "use_qk_norm",
    "qk_norm",
    "qk_layernorm",
    "use_qk_layernorm",
    "use_parallel_residual",
    "parallel_attn",
    "parallel_residual",
    "alibi",
    "use_bias",
    "attn_temperature_tuning",
    "use_bidirectional_attention",
    "use_attention_sinks",
    "add_cross_attention",
    "rope_interleave",
    "rope_interleaved",
    "scale_embeddings",
    "scale_attn_by_inverse_layer_idx",
    "reorder_and_upcast_attn",
    "mup_enabled",
    "use_mup",
};

constexpr std::array<std::string_view, 2> on{"is_causal", "use_rope"};

constexpr std::array<std::string_view, 15> one{
    "embedding_multiplier",   "residual_multiplier",
    "logits_scaling",         "logit_scale",
    "scale_emb",              "lm_head_multiplier",
    "key_multiplier",         "attention_in_multiplier",
    "attention_out_multiplier", "output_multiplier_scale",
    "embedding_scale",        "partial_rotary_factor",
    "rotary_percent",         "rotary_pct",
    "rope_pct",
};

constexpr std::array<std::string_view, 5> at_most_one{
    "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts",
    "num_experts_per_tok"};

/// Equal, as numbers are that were rounded on their way into a file.
bool is_near(const nlohmann::json& value, double wanted) {
  return value.is_number() &&
         std::abs(value.get<double>() - wanted) <= 1e-6 * std::abs(wanted);
}

void expect(config_reader& json, std::string_view key, double wanted) {
  const auto* value = json.value(key);
  if (!value || is_near(*value, wanted)) return;
  const nlohmann::json shown = wanted;
  json.refuse(key, shown.dump() + " (t2 computes no other)", json.found(key));
}

void expect(config_reader& json, std::string_view key, bool wanted) {
  const auto* value = json.value(key);
  if (!value || *value == wanted || is_near(*value, wanted ? 1 : 0)) return;
  json.refuse(key,
              std::string{wanted ? "true" : "false"} +
                  " (t2 computes no other)",
              json.found(key));
}

}  // namespace

void refuse_other_numbers(config_reader& json, const model_config& config,
                          std::span<const std::string_view> own) {
  const auto is_own = [&](std::string_view key) {
    return std::ranges::find(own, key) != own.end();
  };
  for (const auto key : none)
    if (!is_own(key) && json.has(key))
      json.refuse(key, "none (t2 does not compute it)", json.found(key));
  for (const auto key : off)
    if (!is_own(key)) expect(json, key, false);
  for (const auto key : on) expect(json, key, true);
  for (const auto key : one)
    if (!is_own(key)) expect(json, key, 1.0);
  for (const auto key : at_most_one)
    if (const auto* value = json.value(key);
        value && !is_near(*value, 0) && !is_near(*value, 1))
      json.refuse(key, "at most 1 (t2 has no mixtures of MLPs)",
                  json.found(key));
  const auto head_dim = static_cast<double>(config.head_dim);
  expect(json, "attention_multiplier", 1 / std::sqrt(head_dim));
  if (!is_own("query_pre_attn_scalar"))
    expect(json, "query_pre_attn_scalar", head_dim);
  expect(json, "rotary_dim", head_dim);
  expect(json, "dim_model_base", static_cast<double>(config.hidden));
  expect(json, "scale_depth",
         std::sqrt(static_cast<double>(config.layers)));
  if (const auto* pruned = json.value("pruned_heads");
      pruned && !pruned->empty())
    json.refuse("pruned_heads", "none", json.found("pruned_heads"));
  if (const auto* layers = json.value("no_rope_layers");
      layers && !is_own("no_rope_layers"))
    for (const auto& rotated : *layers)
      if (rotated != 1)
        json.refuse("no_rope_layers", "1 for every layer",
                    json.found("no_rope_layers"));
}

}  // namespace t2
