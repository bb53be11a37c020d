#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>

#include "config/result.hpp"
#include "model/lora.hpp"

namespace t2 {

/// A LoRA adapter and the values of its A and B, float32 [layout->total()].
struct lora_adapter {
  std::shared_ptr<const lora_layout> layout;
  at::Tensor values;
};

/// Writes PEFT's folder: adapter_config.json and adapter_model.safetensors
/// (base_model.model.model.layers.N.self_attn.q_proj.lora_A.weight, ...).
/// Makes the folder where there is none; each file is replaced whole.
/// `provenance` (JSON) goes into the safetensors' metadata.
result<void> write_lora_adapter(const std::filesystem::path& folder,
                                const lora_layout& layout,
                                const at::Tensor& values,
                                const std::string& base_name,
                                const std::string& provenance = "{}");

/// Reads PEFT's folder for a base of this config. Plain LoRA only: DoRA,
/// rsLoRA, biases, patterns of ranks, modules that are saved whole and the
/// like are ec::incompatible; missing, extra or misshapen tensors ec::corrupt.
result<lora_adapter> read_lora_adapter(const std::filesystem::path& folder,
                                       const model_config& config);

}  // namespace t2
