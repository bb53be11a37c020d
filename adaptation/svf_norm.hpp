#pragma once

#include <cstdint>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// How ν of W' = ν · U diag(s ⊙ z) Vᵀ is chosen for each projection.
enum class svf_norm : std::uint8_t {
  none,     // ν = 1 (the paper)
  nuclear,  // ν = Σs / Σ(s ⊙ z): the sum of singular values stays (the
            // authors' released code)
};

/// What the trained parameter p is to z.
enum class svf_parametrisation : std::uint8_t {
  direct,   // z = p (the paper)
  sigmoid,  // z = 2 · sigmoid(p): p = 0 is the base. The released code has
            // z = sigmoid(p), which under nuclear is the same expert (a
            // constant factor of z cancels) and under none could not grow any
            // singular value.
};

std::string_view to_string(svf_norm norm);
result<svf_norm> parse_svf_norm(std::string_view text);
std::string_view to_string(svf_parametrisation parametrisation);
result<svf_parametrisation> parse_svf_parametrisation(std::string_view text);

}  // namespace t2
