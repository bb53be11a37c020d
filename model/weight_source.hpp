#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "model/model_config.hpp"
#include "model/weight_names.hpp"
#include "weights/tensor_encoding.hpp"

namespace t2 {

/// A tensor as a file has it; `owner` keeps the bytes valid.
struct stored_tensor {
  std::string name;
  std::string_view type;  // as the format calls it: "BF16", "Q4_K"
  std::optional<tensor_encoding> encoding;  // none: no weight can have the type
  std::vector<std::int64_t> shape;          // [rows, columns]
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  std::filesystem::path file;
};

/// Its values: float32, bfloat16 and float16 without a copy (never write to
/// them: the memory may be mapped read-only), blocks as float32. The encoding
/// must be one that weights can have.
at::Tensor decode(const stored_tensor& tensor);

/// Where a base's weights come from. Another kind of file is one more class, and
/// a line in open_weights(). Immutable; any thread.
class weight_source {
 public:
  virtual ~weight_source() = default;

  /// Sorted by name, the file's own.
  const std::vector<stored_tensor>& tensors() const { return tensors_; }
  /// By the file's own name; null: none.
  const stored_tensor* find(std::string_view name) const;
  /// The files that hold the tensors, sorted.
  std::vector<std::filesystem::path> files() const;

  /// By what names files of this kind call this model's weights.
  virtual weight_names names(const model_config& config) const = 0;

 protected:
  explicit weight_source(std::vector<stored_tensor> tensors);

 private:
  std::vector<stored_tensor> tensors_;
};

/// Maps the files of what a path names and checks their headers; no weight is
/// read yet. A file: GGUF, with the other parts where it was split. A folder: model.safetensors, or the shards of
/// model.safetensors.index.json, as the Hugging Face Hub has them; links are
/// followed. A shard is named by the index without a folder: anything else is
/// refused.
result<std::shared_ptr<const weight_source>> open_weights(
    const std::filesystem::path& path);

/// The same of a folder alone (hugging_face_weights.cpp).
result<std::shared_ptr<const weight_source>> open_hugging_face_weights(
    const std::filesystem::path& folder);
/// The same of a GGUF file alone (gguf_weights.cpp).
result<std::shared_ptr<const weight_source>> open_gguf_weights(
    const std::filesystem::path& file);

}  // namespace t2
