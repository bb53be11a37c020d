#pragma once

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "model/file_mapping.hpp"
#include "weights/gguf_file.hpp"

namespace t2 {

/// Whether a model's path is a file, and so GGUF; folders are Hugging Face's.
bool is_gguf(const std::filesystem::path& path);

/// A GGUF file, mapped, with the other parts of one that was split
/// (NAME-00001-of-00003.gguf, in one folder). Immutable; any thread.
class gguf_model {
 public:
  struct part {
    std::filesystem::path path;
    std::shared_ptr<const file_mapping> mapping;
    gguf_file file;
  };

  /// Of a model that was split, `path` is the first part.
  static result<gguf_model> open(const std::filesystem::path& path);

  /// The first has the metadata.
  const gguf_file& head() const { return parts_.front().file; }
  const std::vector<part>& parts() const { return parts_; }
  /// In any part; null: none.
  const gguf_tensor* find(std::string_view name) const;
  /// general.architecture; empty where there is none.
  std::string_view architecture() const;

 private:
  std::vector<part> parts_;
};

}  // namespace t2
