#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/result.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// How the next token is drawn from the logits. What changes logits comes
/// first: repetition penalty, presence and frequency penalties, bias. Then the
/// filters in the order of transformers: temperature, top-k, top-p, min-p.
struct sampling_options {
  float temperature = 0;         // 0: greedy
  std::int32_t top_k = 0;        // 0: off
  float top_p = 1;               // 1: off; 0: the likeliest alone
  float min_p = 0;               // 0: off
  float repetition_penalty = 1;  // 1: off; over prompt and answer
  // -2 to 2: taken from the logit of a token that the answer has, and once more
  // for each time that it has it.
  float presence_penalty = 0;
  float frequency_penalty = 0;
  /// Where the answer begins in the history: the length of the prompt.
  std::size_t answer_begin = 0;
  /// Added to the logits of these tokens, -100 to 100; each token once.
  std::vector<std::pair<token_id, float>> logit_bias = {};
  /// Likeliest tokens that are told beside each drawn one, 0 to 20.
  std::int32_t top_log_probabilities = 0;
  std::uint64_t seed = 0;
  std::int32_t max_tokens = 256;
  bool ignore_eos = false;
  /// Generation ends before the first of these; none is ever emitted.
  std::vector<std::string> stop = {};

  result<void> validate() const;
};

/// Log-probabilities are those of the unfiltered softmax at temperature 1,
/// before penalties and bias.
struct token_likelihood {
  token_id token = 0;
  float log_probability = 0;
};

struct sampled_token {
  token_id token = 0;
  float log_probability = 0;
  /// The likeliest, best first: as many as were asked for.
  std::vector<token_likelihood> alternatives = {};
};

/// Draws one token. `logits` are float32 and are used as scratch; `history` is
/// prompt and answer so far. The draw depends on (seed, sequence, position)
/// alone, so a row gives the same tokens in any batch. ec::internal: a logit is
/// not finite. Any thread.
result<sampled_token> sample_token(std::span<float> logits,
                                   std::span<const token_id> history,
                                   const sampling_options& options,
                                   std::uint64_t sequence,
                                   std::int64_t position);

}  // namespace t2
