#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// Which way a divergence between policy π and base π₀ is taken.
enum class kl_direction : std::uint8_t {
  policy_base,  // KL(π ‖ π₀) = Σ_v π log(π / π₀) (the paper's)
  base_policy,  // KL(π₀ ‖ π) = Σ_v π₀ log(π₀ / π)
};

std::string_view to_string(kl_direction direction);
result<kl_direction> parse_kl_direction(std::string_view text);

/// A positions, V the vocabulary.
struct kl_terms {
  at::Tensor value_a;       // float32, nats
  at::Tensor grad_logits_av;  // with respect to the policy's logits
};

/// Exact over the vocabulary, of log-probabilities float32 [A, V]. In logits
/// the gradient is π ⊙ (log π − log π₀ − KL), or π − π₀.
kl_terms kl_divergence(const at::Tensor& log_policy_av,
                       const at::Tensor& log_base_av, kl_direction direction,
                       bool with_gradient);

}  // namespace t2
