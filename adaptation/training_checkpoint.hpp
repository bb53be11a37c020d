#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "adaptation/adamw.hpp"
#include "config/result.hpp"

namespace t2 {

/// What chooses the best step: the higher mean reward of greedy answers (0 for
/// an objective without), and then the lower loss.
struct validation_score {
  double reward = 0;
  double loss = 0;
  bool better_than(const validation_score& other) const {
    return reward != other.reward ? reward > other.reward : loss < other.loss;
  }
};

/// All that a training run needs to go on from where it was.
struct training_checkpoint {
  std::string identity;  // SHA-256 of base, data and spec: what run it is of
  adamw_state optimiser;
  at::Tensor best;       // parameter of the best step
  std::int64_t step = 0;
  std::int64_t best_step = 0;
  validation_score base, best_score, last;
  double last_loss = 0;  // of a step
  // What the answers of those validations were like, as JSON; empty: unknown.
  std::string base_report, best_report;
};

/// Replaces the file durably (config/durable_file.hpp).
result<void> write_training_checkpoint(const std::filesystem::path& path,
                                       const training_checkpoint& state);

/// Nothing when there is no file. `size`: entries of the parameter.
/// ec::corrupt when it does not verify, ec::incompatible when it is of another
/// run.
result<std::optional<training_checkpoint>> read_training_checkpoint(
    const std::filesystem::path& path, const std::string& identity,
    std::int64_t size);

}  // namespace t2
