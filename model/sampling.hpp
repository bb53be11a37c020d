#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// How the next token is drawn from the logits. The filters apply in the order
/// of transformers: repetition penalty, temperature, top-k, top-p, min-p.
struct sampling_options {
  float temperature = 0;         // 0: greedy
  std::int32_t top_k = 0;        // 0: off
  float top_p = 1;               // 1: off
  float min_p = 0;               // 0: off
  float repetition_penalty = 1;  // 1: off; over prompt and answer
  std::uint64_t seed = 0;
  std::int32_t max_tokens = 256;
  bool ignore_eos = false;
  /// Generation ends before the first of these; none is ever emitted.
  std::vector<std::string> stop = {};

  result<void> validate() const;
};

struct sampled_token {
  token_id token = 0;
  float log_probability = 0;  // under the unfiltered softmax at temperature 1
};

/// Draws one token. `logits` are float32 and are used as scratch; `history` is
/// prompt and answer so far. The draw depends on (seed, sequence, position)
/// alone, so a row gives the same tokens in any batch.
sampled_token sample_token(std::span<float> logits, std::span<const token_id> history,
                     const sampling_options& options, std::uint64_t sequence,
                     std::int64_t position);

}  // namespace t2
