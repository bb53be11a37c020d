#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// One tensor of a safetensors file: what the header says of it, checked, and
/// its bytes. `owner` keeps the bytes valid (a read-only mapping or a buffer).
struct tensor_view {
  std::string name;
  at::ScalarType dtype = at::ScalarType::Float;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  std::filesystem::path file;

  /// The bytes as a tensor without a copy; it keeps `owner`. Never write to
  /// it: the memory may be mapped read-only.
  at::Tensor tensor() const;
};

/// A safetensors file or buffer. Nothing that it says is trusted: a header
/// that is truncated, oversized or not the JSON of the format, an unknown
/// dtype, a shape that does not give the bytes, offsets that overlap, leave
/// gaps, run out of the file or are not aligned to their element, are one
/// error each (ec::corrupt) that names file, tensor, expected and found.
/// Immutable; any thread.
class safetensors_file {
 public:
  /// Maps the file. It must not be shortened by others while mapped (replace
  /// such files by rename): its size is checked here, once.
  static result<safetensors_file> open(const std::filesystem::path& path);
  /// Takes the bytes over; `label` stands for the file in errors.
  static result<safetensors_file> parse(std::vector<std::byte> bytes,
                                        std::string label);

  /// Sorted by name.
  const std::vector<tensor_view>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }
  bool has(std::string_view name) const { return find(name) != nullptr; }
  /// Aliases the file; ec::not_found where it has no such tensor.
  result<at::Tensor> tensor(std::string_view name) const;
  /// All bytes of the file.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  static result<safetensors_file> read(std::span<const std::byte> bytes,
                                       std::shared_ptr<const void> owner,
                                       std::filesystem::path file);
  const tensor_view* find(std::string_view name) const;

  std::filesystem::path file_;
  std::span<const std::byte> bytes_;
  std::vector<tensor_view> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// "F32", "BF16", ...: the format's name of a dtype; empty for one it lacks.
std::string_view safetensors_dtype(at::ScalarType dtype);

/// "[2, 3]".
std::string shape_text(std::span<const std::int64_t> shape);

/// The bytes of a file holding these tensors (copied to CPU and made
/// contiguous where they are not). The same input gives the same bytes: tensors
/// lie by falling element size, then by name, and data begins at a multiple of
/// 64 bytes. A dtype that the format lacks is ec::invalid_argument.
result<std::vector<std::byte>> serialise_safetensors(
    const std::map<std::string, at::Tensor>& tensors,
    const std::map<std::string, std::string>& metadata = {});

/// Serialises and writes atomically (config/durable_file.hpp).
result<void> write_safetensors(
    const std::filesystem::path& path,
    const std::map<std::string, at::Tensor>& tensors,
    const std::map<std::string, std::string>& metadata = {});

}  // namespace t2
