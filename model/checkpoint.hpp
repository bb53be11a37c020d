#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "model/safetensors.hpp"

namespace t2 {

/// The weights of a Hugging Face directory: model.safetensors, or the shards
/// of model.safetensors.index.json, mapped read-only. Tensors alias the
/// mapping and keep it alive. Immutable; any thread.
class checkpoint {
 public:
  /// Maps all files and checks their headers; no weight is read yet. A shard
  /// is named by the index without a folder: anything else is refused.
  static result<checkpoint> open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  bool has(std::string_view name) const;
  std::vector<std::string> names() const;  // sorted

  /// The tensor as stored (float32, bfloat16 or float16). An error names file,
  /// tensor, the expected shape and the one found; NaN or infinite values are
  /// an error too (every call reads the whole tensor once to know).
  result<at::Tensor> tensor(std::string_view name,
                            std::span<const std::int64_t> shape) const;

  /// The stored bytes of a tensor, for hashing.
  result<tensor_view> view(std::string_view name) const;

  /// The safetensors files that hold the tensors, sorted.
  std::vector<std::filesystem::path> files() const;

 private:
  result<void> open_shards(const std::filesystem::path& index);

  std::filesystem::path folder_;
  std::map<std::string, tensor_view, std::less<>> tensors_;
};

}  // namespace t2
