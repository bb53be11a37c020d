#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "config/result.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// What a pretrained model's folder is made of.
struct pretrained_folder {
  model_config config;
  std::string tokenizer_json;
  std::map<std::string, at::Tensor> weights;  // float32, by name
  at::ScalarType dtype = at::kBFloat16;       // they are stored in
  std::string record_json;                    // pretraining.json
};

/// Writes a Hugging Face folder (LlamaForCausalLM) that t2 and transformers
/// load; each file durably, model.safetensors last.
result<void> write_pretrained(const std::filesystem::path& folder,
                              const pretrained_folder& what);

}  // namespace t2
