#include "model/memory_plan.hpp"

#include <algorithm>
#include <array>

namespace t2 {
namespace {

struct shape {
  std::string_view name;
  std::int64_t vocabulary, hidden, intermediate, layers, heads, kv_heads,
      max_positions;
  bool tied;
};

constexpr std::array<shape, 3> shapes{{
    {"llama-135m", 49152, 576, 1536, 30, 9, 3, 8192, true},
    {"llama3-8b", 128256, 4096, 14336, 32, 32, 8, 8192, false},
    {"llama3-70b", 128256, 8192, 28672, 80, 64, 8, 8192, false},
}};

std::int64_t size_of(c10::ScalarType dtype) {
  return static_cast<std::int64_t>(c10::elementSize(dtype));
}

/// Live at once in a layer, for each row: the residual stream, its norm, and
/// either q k v and the attention's output with its projection, or gate, up,
/// their product and its projection.
std::int64_t activation_bytes(const model_config& c, std::int64_t rows,
                              c10::ScalarType dtype) {
  const auto attention = (2 * c.heads + 2 * c.kv_heads) * c.head_dim;
  const auto mlp = 3 * c.intermediate;
  const auto per_row = 3 * c.hidden + std::max(attention, mlp);
  return rows * per_row * size_of(dtype);
}

}  // namespace

std::int64_t weight_bytes(const model_config& config, c10::ScalarType dtype) {
  return config.parameters() * size_of(dtype);
}

std::int64_t factor_bytes(const svf_layout& layout, c10::ScalarType dtype) {
  constexpr std::int64_t float_size = 4;
  std::int64_t bytes = layout.total() * float_size;
  for (const auto& p : layout.projections())
    bytes += (p.out_features + p.in_features) * p.rank() * size_of(dtype);
  return bytes;
}

std::int64_t dense_bytes(const svf_layout& layout, c10::ScalarType dtype) {
  std::int64_t bytes = 0;
  for (const auto& p : layout.projections())
    bytes += p.out_features * p.in_features * size_of(dtype);
  return bytes;
}

std::int64_t kv_bytes_per_token(const model_config& config,
                                c10::ScalarType dtype) {
  return 2 * config.layers * config.kv_heads * config.head_dim *
         size_of(dtype);
}

memory_plan plan_memory(const model_config& config,
                        const memory_request& request) {
  const svf_layout layout{config, request.targets};
  const bool uses_factors = request.plan != linear_plan::base;
  const bool is_dense = request.plan == linear_plan::dense;
  const std::int64_t packed_head =
      config.tied_embeddings
          ? config.vocabulary * config.hidden * size_of(request.dtype)
          : 0;
  constexpr std::int64_t float_size = 4;  // logits are float32
  return {
      .weights = weight_bytes(config, request.dtype) + packed_head,
      .factors = uses_factors ? factor_bytes(layout, request.dtype) : 0,
      .dense = is_dense ? request.dense_copies *
                              dense_bytes(layout, request.dtype)
                        : 0,
      .kv = request.kv_tokens * kv_bytes_per_token(config, request.dtype),
      .activations =
          activation_bytes(config, request.step_tokens, request.dtype),
      .logits = request.logit_rows * config.vocabulary * float_size,
  };
}

std::vector<std::string_view> preset_shapes() {
  std::vector<std::string_view> names;
  for (const auto& known : shapes) names.push_back(known.name);
  return names;
}

std::optional<model_config> preset_shape(std::string_view name) {
  for (const auto& known : shapes) {
    if (known.name != name) continue;
    model_config config;
    config.model_type = "llama";
    config.vocabulary = known.vocabulary;
    config.hidden = known.hidden;
    config.intermediate = known.intermediate;
    config.layers = known.layers;
    config.heads = known.heads;
    config.kv_heads = known.kv_heads;
    config.head_dim = known.hidden / known.heads;
    config.max_positions = known.max_positions;
    config.tied_embeddings = known.tied;
    return config;
  }
  return std::nullopt;
}

}  // namespace t2
