#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "text/detokenizer.hpp"

namespace t2 {

/// The text of one answer as its tokens come: holds back what may still become
/// half a character or the beginning of a stop string.
class answer {
 public:
  /// `text` may be null: tokens without text.
  answer(std::shared_ptr<const tokenizer> text, std::vector<std::string> stop);

  /// The answer stands behind `prompt`: its text is what that adds to the
  /// prompt's (text/detokenizer.hpp).
  result<void> begin_after(std::span<const token_id> prompt);

  struct piece {
    std::string text;
    bool stopped = false;  // a stop string ended the answer
  };
  /// The text that became final with this token.
  result<piece> push(token_id token);
  /// What was held back, when the answer ends otherwise.
  result<std::string> finish();

 private:
  piece release(std::string more);

  std::optional<detokenizer> detokenizer_;
  token_id vocabulary_ = 0;  // ids from here on have no text
  std::vector<std::string> stop_;
  std::string held_;
};

}  // namespace t2
