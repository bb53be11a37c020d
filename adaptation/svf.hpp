#pragma once

#include <ATen/core/Tensor.h>

#include "adaptation/svf_norm.hpp"
#include "config/result.hpp"
#include "model/projection.hpp"

namespace t2 {

// Singular value fine-tuning as pure arithmetic (paper section 3.1). All
// tensors are flat over a layout: [total] entries, projection after projection;
// s: float32 singular values. Sums run in float64. Any thread.

/// e = ν z − 1, float32 [total]. ⟨s, z⟩ ≤ 0 of a projection under nuclear is
/// ec::invalid_argument naming it, and so is a z that is not finite.
result<at::Tensor> relative_change(const at::Tensor& z, const at::Tensor& s,
                                   svf_norm norm, const svf_layout& layout);

/// d = s ⊙ (ν z − 1): the singular delta of z. Errors as above.
result<at::Tensor> delta_from_z(const at::Tensor& z, const at::Tensor& s,
                                svf_norm norm, const svf_layout& layout);

/// ∂L/∂z from g = ∂L/∂d at z: s ⊙ g under none, and under nuclear
/// ν s ⊙ (g − ⟨g, s ⊙ z⟩ / ⟨s, z⟩), for each projection. `z` has passed
/// delta_from_z.
at::Tensor gradient_of_z(const at::Tensor& g, const at::Tensor& z,
                         const at::Tensor& s, svf_norm norm,
                         const svf_layout& layout);

/// z of the trained parameter.
at::Tensor z_from_parameter(const at::Tensor& p,
                            svf_parametrisation parametrisation);

/// ∂L/∂p from ∂L/∂z at p.
at::Tensor gradient_of_parameter(const at::Tensor& grad_z, const at::Tensor& p,
                                 svf_parametrisation parametrisation);

/// The value of every p at which z = 1, the base.
double base_parameter(svf_parametrisation parametrisation);

}  // namespace t2
