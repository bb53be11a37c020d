#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "config/result.hpp"
#include "model/model_config.hpp"
#include "model/weight_names.hpp"
#include "model/weight_source.hpp"

namespace t2 {

/// The weights of a base. They are asked for by Llama's names, whatever the
/// files call them (weight_names). Tensors alias the files' mappings where they
/// can, and keep them alive. Immutable; any thread.
class checkpoint {
 public:
  /// What open_weights() finds, by Llama's names.
  static result<checkpoint> open(const std::filesystem::path& path);

  /// The same, with weights found as this model's family stores them.
  checkpoint named_for(const model_config& config) const;

  /// What was opened.
  const std::filesystem::path& folder() const { return folder_; }
  const weight_source& source() const { return *source_; }
  bool has(std::string_view name) const;

  /// The weight in its stored type, or float32 where that is blocks; a view of
  /// the tensor that holds it where that can be. An error names file, tensor,
  /// the expected shape and the one found; NaN or infinite values are an error
  /// too (every call reads the whole tensor once to know).
  result<at::Tensor> tensor(std::string_view name,
                            std::span<const std::int64_t> shape) const;

  /// The stored tensor that holds a weight, whole, for hashing.
  result<stored_tensor> view(std::string_view name) const;

 private:
  checkpoint() = default;
  /// Null where the files have no such tensor.
  const stored_tensor* holder(const stored_weight& weight) const;

  std::filesystem::path folder_;
  std::shared_ptr<const weight_source> source_;
  weight_names names_;
  std::shared_ptr<const model_config> config_;  // null: Llama's names alone
};

}  // namespace t2
