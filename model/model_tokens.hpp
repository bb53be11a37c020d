#pragma once

#include <string>

#include "config/result.hpp"
#include "model/model_config.hpp"
#include "text/special_tokens.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// Joins what the model's files and its tokenizer's say of special tokens: the
/// ends of `config` get the tokenizer's eos_token, its beginning is the token
/// that the tokenizer opens a text with, or else its bos_token where
/// config.json names none. A token that the tokenizer does not have, or that is
/// beyond the vocabulary, is left out with a warning in the log; `folder`
/// stands in it.
void join_special_tokens(model_config& config, const special_tokens& special,
                         const tokenizer& text, const std::string& folder);

/// Whether the tokenizer's tokens are the model's: at most vocab_size of them,
/// but for special tokens that were added (a [PAD]), which no prompt may have
/// and a warning names. Else ec::incompatible; `file` stands in it.
result<void> check_vocabulary(const model_config& config, const tokenizer& text,
                              const std::string& file);

}  // namespace t2
