#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/result.hpp"
#include "model/adapted_weights.hpp"
#include "model/kv_cache.hpp"
#include "model/sampling.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

class language_model;
struct head_rows;
struct packed_step;

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

/// Samples answers in fixed batches, with a KV cache of its own: at most
/// rows_at_once requests side by side, in their order, so the same requests
/// under the same weights give the same bits. Neighbours that ask the same
/// prompt share its keys. The engine's thread.
class rollout_batch {
 public:
  static constexpr std::size_t rows_at_once = 64;

  /// ec::invalid_argument: an empty prompt, ids outside the vocabulary, a
  /// prompt that leaves no room for max_tokens. Of `sampling`: temperature,
  /// the filters, seed, max_tokens, ignore_eos.
  static result<rollout_batch> make(const language_model& model,
                                    std::vector<rollout_request> requests,
                                    sampling_options sampling);

  /// One packed step under `weights` (adapted_linears::dense(); null: the
  /// base): up to 512 prompt tokens, or one token of each row. False: done.
  result<bool> advance(language_model& model,
                       const adapted_weights* weights);

  /// One for each request, in order, once advance() has said false.
  const std::vector<rollout>& rollouts() const { return rollouts_; }

 private:
  struct prefix {
    std::size_t request = 0;  // the first that has this prompt
    std::int64_t size = 0;    // all of the prompt but its last token
    std::int64_t computed = 0;
    std::shared_ptr<kv_sequence> kv = {};
  };
  struct row {
    std::size_t request = 0;
    std::shared_ptr<kv_sequence> kv = {};
    bool live = true;
  };

  void open(const language_model& model);
  void prefill(packed_step& step);
  result<void> sample(language_model& model, const head_rows& rows);

  std::vector<rollout_request> requests_;
  sampling_options sampling_;
  std::vector<rollout> rollouts_;
  std::shared_ptr<kv_pool> pool_;
  std::size_t next_ = 0;  // request that no batch has had
  std::vector<prefix> prefixes_;
  std::vector<row> rows_;
};

}  // namespace t2
