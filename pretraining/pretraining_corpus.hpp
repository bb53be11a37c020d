#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/chat_message.hpp"
#include "config/result.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// A line of a corpus: a conversation, or a text.
struct corpus_document {
  std::vector<chat_message> messages;  // empty: a text
  std::string text;
  std::size_t line = 0;  // of the file, from 1
};

/// A document as ids. counts[i] != 0: the loss counts predicting tokens[i].
struct tokenized_document {
  std::vector<token_id> tokens;
  std::vector<std::uint8_t> counts;
};

/// What pretraining learns from: JSONL of {"messages": [...]} and
/// {"text": ...}; other keys are ignored (docs/formats.md).
struct pretraining_corpus {
  std::vector<corpus_document> documents;
  std::string sha256;  // of the file

  /// At least one document; of its roles only user, assistant and system, of
  /// its texts none that spells a special token.
  static result<pretraining_corpus> read(const std::filesystem::path& file);

  /// The tokenizer.json learnt from all contents.
  result<std::string> train_tokenizer(int vocabulary) const;
};

namespace pretrained {

/// Their ids are their places.
inline constexpr std::string_view special_tokens[] = {
    "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"};
inline constexpr token_id pad = 0, end = 1, user = 2, assistant = 3,
                          system = 4;

/// "<|user|>\n…<|end|>\n<|assistant|>\n…<|end|>\n".
extern const char* const chat_template;

}  // namespace pretrained

/// The ids of a document as the chat template writes it (without the newline
/// at its end), a text with <|end|> behind it. The newline that opens an answer
/// stays a token of its own, as in a prompt. `answers_only`: in conversations
/// the assistant's words and their <|end|> count; else, and in texts, all but
/// the first token do.
result<tokenized_document> tokenize(const corpus_document& document,
                                    const tokenizer& vocabulary,
                                    bool answers_only);

}  // namespace t2
