#pragma once

#include <span>
#include <string>
#include <vector>

#include "adaptation/example.hpp"
#include "config/result.hpp"
#include "model/engine.hpp"
#include "model/training_batch.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

class language_model;

// How words become the token ids that a model reads.

/// The ids of a question. Messages go through the model's chat template with
/// its generation prompt; a bare prompt is encoded with the tokenizer's
/// special tokens (a question that opens with BOS has it once). A model that
/// has a BOS opens an empty prompt with it. Errors: messages where the model
/// has no chat template, no tokenizer, no token at all.
result<std::vector<token_id>> prompt_tokens(
    const language_model& model, const std::string& prompt,
    std::span<const chat_message> messages);

/// The ids of a reference answer as the model would go on with it: no special
/// tokens. `end`: followed by the model's first end-of-sequence token.
result<std::vector<token_id>> answer_tokens(const language_model& model,
                                            const std::string& answer,
                                            bool end);

/// Prompt and answer as one row with answer_begin between them.
result<scoring_row> scoring_row_of(const language_model& model,
                                   const example& e, bool end,
                                   delta_ref delta = nullptr);
result<scoring_row> scoring_row_of(const language_model& model,
                                   const example& e, const std::string& answer,
                                   bool end, delta_ref delta = nullptr);

/// The same to learn from, cut to `max_tokens`, each answer token with weight
/// 1. ec::exhausted where no answer token is left.
result<training_row> training_row_of(const language_model& model,
                                     const example& e,
                                     std::int64_t max_tokens);

}  // namespace t2
