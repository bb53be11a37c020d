#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "model/model_config.hpp"
#include "model/safetensors.hpp"
#include "model/weight_names.hpp"

namespace t2 {

/// The weights of a Hugging Face directory: model.safetensors, or the shards
/// of model.safetensors.index.json, mapped read-only. Weights are asked for by
/// Llama's names, whatever the files call them (weight_names). Tensors alias
/// the mapping and keep it alive. Immutable; any thread.
class checkpoint {
 public:
  /// Maps all files and checks their headers; no weight is read yet. A shard
  /// is named by the index without a folder: anything else is refused.
  static result<checkpoint> open(const std::filesystem::path& folder);

  /// The same, with weights found as this model's family stores them.
  checkpoint named_for(const model_config& config) const;

  const std::filesystem::path& folder() const { return folder_; }
  bool has(std::string_view name) const;
  /// The stored tensors, by the files' own names, sorted.
  std::vector<std::string> stored_names() const;
  /// One of them; the name must be.
  const tensor_view& stored(std::string_view name) const;

  /// The weight as stored (float32, bfloat16 or float16), a view of the tensor
  /// that holds it. An error names file, tensor, the expected shape and the one
  /// found; NaN or infinite values are an error too (every call reads the whole
  /// tensor once to know).
  result<at::Tensor> tensor(std::string_view name,
                            std::span<const std::int64_t> shape) const;

  /// The stored tensor that holds a weight, whole, for hashing.
  result<tensor_view> view(std::string_view name) const;

  /// The safetensors files that hold the tensors, sorted.
  std::vector<std::filesystem::path> files() const;

 private:
  result<void> open_shards(const std::filesystem::path& index);
  /// Null where the files have no such tensor.
  const tensor_view* holder(const stored_weight& weight) const;

  std::filesystem::path folder_;
  weight_names names_;
  std::shared_ptr<const model_config> config_;  // null: Llama's names alone
  std::map<std::string, tensor_view, std::less<>> tensors_;
};

}  // namespace t2
