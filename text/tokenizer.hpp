#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"

namespace t2 {

using token_id = std::int32_t;

/// Text to ids and back, as a Hugging Face tokenizer.json says. Immutable:
/// one object serves every thread.
///
/// The file is not trusted. Byte-pair, Unigram and word-level models with the
/// normalizers, pre-tokenizers and decoders of Llama, Mistral, Qwen2, GPT-2 and
/// SentencePiece's conversions are read; anything else is refused by name
/// (ec::incompatible), nonsense is ec::corrupt, and what would take too much
/// time or memory ec::exhausted.
class tokenizer {
 public:
  /// Reads `folder`/tokenizer.json, at most 64 MiB.
  static result<std::shared_ptr<const tokenizer>> load(
      const std::filesystem::path& folder);

  /// The same from the text of such a file.
  static result<std::shared_ptr<const tokenizer>> parse(std::string_view json);

  ~tokenizer();
  tokenizer(const tokenizer&) = delete;
  tokenizer& operator=(const tokenizer&) = delete;

  /// The ids of `text`, which must be UTF-8 (ec::invalid_argument).
  /// `add_special_tokens` adds what the file's post-processor adds, such as
  /// <s> before the text. Special tokens written out in `text` become their
  /// ids either way. Truncation and padding that the file asks for are the
  /// caller's business and ignored.
  result<std::vector<token_id>> encode(std::string_view text,
                                       bool add_special_tokens) const;

  /// What encode() may spend on a text of so many bytes. Whatever patterns the
  /// file has, it ends within about a second for texts of up to a megabyte, in
  /// ids or in ec::exhausted, at the same place on every machine.
  static std::uint64_t default_fuel(std::size_t bytes);

  /// encode() with another budget.
  result<std::vector<token_id>> encode_within(std::uint64_t fuel,
                                              std::string_view text,
                                              bool add_special_tokens) const;

  /// The text of `ids`, always UTF-8: bytes that make no character become
  /// U+FFFD. An id outside of the vocabulary is ec::invalid_argument; a hole
  /// in it decodes to nothing.
  result<std::string> decode(std::span<const token_id> ids,
                             bool skip_special_tokens) const;

  /// What one token stands for wherever it is but at a text's start: bytes that
  /// may be half a character. Of a special token its spelling; a hole in the
  /// vocabulary stands for nothing. An id outside is ec::invalid_argument.
  result<std::string> token_bytes(token_id id) const;

  /// One above the greatest id, added tokens included.
  int vocab_size() const;

  /// The id of a token spelled as in the file, such as "</s>".
  std::optional<token_id> token_to_id(std::string_view token) const;

  /// True for a token that `skip_special_tokens` leaves out.
  bool is_special(token_id id) const;

 private:
  friend class detokenizer;
  struct bridge;
  explicit tokenizer(std::unique_ptr<bridge> rust);

  std::unique_ptr<bridge> bridge_;
};

}  // namespace t2
