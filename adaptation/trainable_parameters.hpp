#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "adaptation/training_options.hpp"
#include "config/result.hpp"
#include "model/adapted_linears.hpp"

namespace t2 {

class language_model;

/// What the optimiser moves, and what of it the model sees: p of SVF and d of
/// its z; A and B of LoRA. All vectors are float32, flat, on the CPU. The
/// engine's thread.
class trainable_parameters {
 public:
  virtual ~trainable_parameters() = default;
  virtual std::int64_t size() const = 0;
  /// The parameter of the base.
  virtual at::Tensor initial() const = 0;
  /// What weight decay pulls to.
  virtual double decay_towards() const = 0;
  /// Loads what the model needs; before values() and gradient().
  virtual result<std::unique_ptr<adapted_linears>> open(
      language_model& model) = 0;
  /// What the model is given; an error where the parameter makes no model.
  virtual result<at::Tensor> values(const at::Tensor& parameter) const = 0;
  /// ∂L/∂parameter from ∂L/∂values at the parameter.
  virtual at::Tensor gradient(const at::Tensor& of_values,
                              const at::Tensor& parameter) const = 0;
};

/// SVF, or LoRA where options.lora is set; A is drawn by `seed`.
std::unique_ptr<trainable_parameters> make_trainable_parameters(
    const model_config& config, const training_options& options,
    std::uint64_t seed);

/// A uniform in ±1/√inputs (Kaiming's, as PEFT draws it), B zero.
at::Tensor initial_lora(const lora_layout& layout, std::uint64_t seed);

}  // namespace t2
