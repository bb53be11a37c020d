#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "config/result.hpp"

namespace t2 {

/// All that a pretraining run needs to go on from where it was.
struct pretraining_checkpoint {
  std::string identity;  // SHA-256 of corpus, spec and machine's choices
  at::Tensor parameter, first_moment, second_moment;  // flat float32
  std::int64_t step = 0;   // steps done
  std::int64_t epoch = 0;  // and the place in its order of documents
  std::int64_t next = 0;
  std::int64_t log_bytes = 0;  // of the training log so far
  double loss = 0, validation_loss = 0, seconds = 0;
  bool validated = false;
};

/// Replaces the file durably.
result<void> write_pretraining_checkpoint(const std::filesystem::path& path,
                                          const pretraining_checkpoint& state);

/// Nothing when there is no file. `size`: entries of the parameter.
/// ec::corrupt when it does not verify, ec::incompatible when it is of another
/// run.
result<std::optional<pretraining_checkpoint>> read_pretraining_checkpoint(
    const std::filesystem::path& path, const std::string& identity,
    std::int64_t size);

}  // namespace t2
