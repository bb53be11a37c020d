#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "engine/sequence.hpp"
#include "model/kernels.hpp"
#include "model/transformer.hpp"

namespace t2 {

/// A token whose log-probability under a row's next-token distribution is wanted.
struct scored_token {
  std::int64_t row = 0;
  token_id token = 0;
};

/// All that computing needs to know, by value: it names pages and mixtures by
/// number and points nowhere.
struct step {
  std::vector<token_id> tokens;                // T
  std::vector<embedded_rows> embedded;         // in place of some tokens
  std::vector<kernels::attention_span> spans;  // cover 0 .. T in order
  std::vector<delta_slot> slots;               // one for each span
  std::vector<kernels::page_fork> forks;
  std::vector<std::int64_t> sampled;  // rows whose logits are wanted, ascending
  std::vector<scored_token> scored;   // by row, ascending
  /// May run truncated (transformer::set_delta_rank).
  bool may_truncate = false;
};

/// What a step gave.
struct step_output {
  at::Tensor logits_rv;                  // float32, on the CPU: of step::sampled
  std::vector<float> log_probabilities;  // of step::scored
};

}  // namespace t2
