#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "actors/client.hpp"
#include "engine/engine.hpp"
#include "text/detokenizer.hpp"

namespace t2 {

/// Turns the sampled tokens of one answer into what a part reports of them.
/// Text comes later than its tokens (it waits until it can no longer change),
/// so a token is told once the text has passed the place where it begins; those
/// behind a stop text are never told. One thread at a time.
class token_report {
 public:
  explicit token_report(std::shared_ptr<const tokenizer> vocabulary);

  /// The answer stands behind these ids (text/detokenizer.hpp). Before on().
  result<void> begin_after(std::span<const token_id> prompt);

  /// The tokens that can be told after this event. A token outside of the
  /// vocabulary is ec::invalid_argument.
  result<std::vector<answer_token>> on(const generation_event& event);

 private:
  struct waiting {
    answer_token token;
    std::size_t begin = 0;  // bytes of text before it
  };

  result<void> take(const sampled_token& sampled);
  result<std::string> bytes_of(token_id id) const;
  /// A model may have more rows than its tokenizer has tokens.
  bool names(token_id id) const;
  void count(const std::string& text);

  std::shared_ptr<const tokenizer> vocabulary_;
  detokenizer text_;
  std::size_t bytes_ = 0;        // of the text of all tokens so far
  std::int64_t characters_ = 0;  // the same in characters
  std::size_t told_bytes_ = 0;   // of the text that the events had
  std::deque<waiting> waiting_;
};

}  // namespace t2
