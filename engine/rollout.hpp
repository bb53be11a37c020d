#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/result.hpp"
#include "model/adapted_weights.hpp"
#include "model/sampling.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

class language_model;

/// An answer to sample. `stream`: its number in the random stream.
struct rollout_request {
  std::vector<token_id> prompt;
  std::uint64_t stream = 0;
};

/// Prompt and sampled answer; `ended`: by an end-of-sequence token, which is
/// the last of `tokens`.
struct rollout {
  std::vector<token_id> tokens;
  std::size_t answer_begin = 0;
  bool ended = false;
};

/// Samples answers as the engine does, with a scheduler and pages of its own: at
/// most rows_at_once side by side, in their order and with nobody beside them, so
/// the same requests under the same weights give the same bits. Who asks the same
/// prompt shares its keys. The engine's thread.
class rollout_batch {
 public:
  static constexpr std::size_t rows_at_once = 64;

  /// ec::invalid_argument: an empty prompt, ids outside the vocabulary, a
  /// prompt that leaves no room for max_tokens. Of `sampling`: temperature,
  /// the filters, seed, max_tokens, ignore_eos.
  static result<rollout_batch> make(const language_model& model,
                                    std::vector<rollout_request> requests,
                                    sampling_options sampling);

  /// One step under `weights` (adapted_linears::dense(); null: the base), of up
  /// to 512 tokens. False: done. The same model every time.
  result<bool> advance(language_model& model, const adapted_weights* weights);

  /// One for each request, in order, once advance() has said false.
  const std::vector<rollout>& rollouts() const { return rollouts_; }

 private:
  struct run;
  std::vector<rollout_request> requests_;
  sampling_options sampling_;
  std::vector<rollout> rollouts_;
  std::shared_ptr<run> run_;  // from the first step to the last
};

}  // namespace t2
