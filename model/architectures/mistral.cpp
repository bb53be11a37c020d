#include "model/architecture.hpp"

namespace t2 {
namespace {

/// Mistral 7B and its kin. A config without `sliding_window` means 4096 to the
/// reference implementation; null means none. It knows no biases and no
/// layer_types: what contradicts that is refused.
void read_mistral(config_reader& json, model_config& config) {
  read_decoder(json, config, {.kv_heads = 8});
  for (const auto* key : {"attention_bias", "mlp_bias"})
    if (json.boolean(key, false))
      json.refuse(key, "false (mistral has no biases)", "true");
  constexpr std::int64_t default_window = 4096;
  if (!json.names("sliding_window"))
    config.sliding_window = default_window;
  else if (json.has("sliding_window"))
    config.sliding_window =
        json.integer("sliding_window", 1, std::int64_t{1} << 31);
  const auto kind = read_layer_types(json, config);
  const auto meant =
      config.sliding_window ? layer_kind::sliding : layer_kind::full;
  if (kind != layer_kind::unsaid && kind != meant)
    json.refuse("layer_types",
                config.sliding_window
                    ? "sliding_attention (sliding_window is set)"
                    : "full_attention (sliding_window is null)",
                json.found("layer_types"));
}

}  // namespace

extern const architecture family_mistral{"mistral", read_mistral};

}  // namespace t2
