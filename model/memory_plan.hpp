#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/linear_plan.hpp"
#include "model/model_config.hpp"
#include "model/projection.hpp"

namespace t2 {

struct memory_request {
  c10::ScalarType dtype = c10::ScalarType::BFloat16;
  svf_targets targets = svf_targets::all;
  linear_plan plan = linear_plan::base;
  /// Positions held by the KV cache, all sequences together.
  std::int64_t kv_tokens = 0;
  /// Rows of one packed step, and how many of them want logits.
  std::int64_t step_tokens = 512;
  std::int64_t logit_rows = 64;
  /// Mixtures kept materialised by the dense plan.
  std::int64_t dense_copies = 1;
};

/// Bytes of each part. All exact but `activations`, an upper bound, and `kv`,
/// which leaves out some positions of padding in each sequence.
struct memory_plan {
  std::int64_t weights = 0;
  std::int64_t factors = 0;
  std::int64_t dense = 0;
  std::int64_t kv = 0;
  std::int64_t activations = 0;
  std::int64_t logits = 0;

  std::int64_t total() const {
    return weights + factors + dense + kv + activations + logits;
  }
};

// Below, size = bytes of an element of the dtype, r = min(m, n), and sums run
// over the projections (m x n) that the targets adapt.

/// parameters * size: every tensor of the checkpoint, in the dtype.
std::int64_t weight_bytes(const model_config& config, c10::ScalarType dtype);
/// sum of (m + n) r size + 4 r: U and V in the dtype, s in float32.
std::int64_t factor_bytes(const svf_layout& layout, c10::ScalarType dtype);
/// sum of m n size: one W' of each adapted projection.
std::int64_t dense_bytes(const svf_layout& layout, c10::ScalarType dtype);
/// 2 layers kv_heads head_dim size: K and V of one position.
std::int64_t kv_bytes_per_token(const model_config& config,
                                c10::ScalarType dtype);

/// What a model of this shape takes. The base plan has weights, KV cache and
/// workspace; a head that is tied to the embedding counts beside it, since it
/// is packed for its products. The other plans add the factors (the weights
/// stay: rows of the base use them), dense its copies of W' as well.
memory_plan plan_memory(const model_config& config,
                        const memory_request& request);

/// Shapes by name: llama-135m (SmolLM2), llama3-8b, llama3-70b.
std::vector<std::string_view> preset_shapes();
std::optional<model_config> preset_shape(std::string_view name);

}  // namespace t2
