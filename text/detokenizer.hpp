#pragma once

#include <memory>
#include <span>
#include <string>

#include "config/result.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// Turns a stream of ids into a stream of text. What it returns, joined, is
/// exactly what tokenizer::decode gives for all the ids, and every piece is
/// valid UTF-8 by itself: an unfinished character waits for its bytes. A step
/// costs the token's length, however long the text has become. One thread at a
/// time.
///
/// Tokenizers with byte fallback (Llama 2, Mistral) decode a run of <0x..>
/// tokens as a whole, so such a run waits until a token of another kind ends
/// it.
class detokenizer {
 public:
  explicit detokenizer(std::shared_ptr<const tokenizer> vocabulary,
                       bool skip_special_tokens = true);
  ~detokenizer();
  detokenizer(detokenizer&&) noexcept;
  detokenizer& operator=(detokenizer&&) noexcept;

  /// The text that `id` made final; may be empty. An id outside of the
  /// vocabulary is ec::invalid_argument and changes nothing.
  result<std::string> push(token_id id);

  /// The text that still waited, with U+FFFD for what never became a
  /// character. The next push starts a new text.
  result<std::string> finish();

  /// Drops what came so far and begins a text that stands behind these ids,
  /// whose own text others have told: what comes then is what decode gives for
  /// all, without what it gives for `ids` alone, so that a word behind a prompt
  /// keeps its space. A character that `ids` leave unfinished is part of the
  /// new text once it is finished. Ids from vocab_size() on have no text.
  result<void> begin_after(std::span<const token_id> ids);

  /// The same, and the text of `ids` short of a character that they leave
  /// unfinished: that one is part of the new text whatever becomes of it, so
  /// that both together are what decode gives for all.
  result<std::string> tell_and_begin_after(std::span<const token_id> ids);

 private:
  struct bridge;

  std::shared_ptr<const tokenizer> tokenizer_;
  std::unique_ptr<bridge> bridge_;
};

}  // namespace t2
