#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "weights/gguf_value.hpp"
#include "weights/tensor_encoding.hpp"

namespace t2 {

/// A tensor of a GGUF file.
struct gguf_tensor {
  std::string_view name;            // the file's text
  std::vector<std::int64_t> shape;  // outermost first: [rows, columns]
  tensor_encoding encoding = tensor_encoding::f32;
  std::span<const std::byte> bytes;
};

/// One GGUF file (versions 2 and 3, little-endian), as its bytes say. Nothing is
/// trusted: counts, lengths, types, offsets and sizes that contradict each other
/// or the file are one error each (ec::corrupt; ec::incompatible for versions
/// and types that t2 does not read) that names file, key or tensor, expected and
/// found, before memory is taken for what they promise. Immutable; any thread.
class gguf_file {
 public:
  /// `bytes` are the whole file and must outlive this and its copies; `label`
  /// stands for it in errors.
  static result<gguf_file> parse(std::span<const std::byte> bytes,
                                 std::string label);

  const std::string& label() const { return label_; }
  std::uint32_t version() const { return version_; }
  const std::map<std::string_view, gguf_value>& metadata() const {
    return metadata_;
  }
  /// Sorted by name.
  const std::vector<gguf_tensor>& tensors() const { return tensors_; }
  const gguf_tensor* find(std::string_view name) const;

 private:
  std::string label_;
  std::uint32_t version_ = 0;
  std::map<std::string_view, gguf_value> metadata_;
  std::vector<gguf_tensor> tensors_;
};

}  // namespace t2
