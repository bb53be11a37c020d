#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adaptation/example.hpp"
#include "config/result.hpp"
#include "engine/engine.hpp"
#include "model/training_batch.hpp"
#include "text/chat_template.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

class language_model;

// How words become the token ids that a model reads.

/// The ids of a question. Messages go through the model's chat template with
/// its generation prompt; a bare prompt is encoded with the tokenizer's
/// special tokens (a question that opens with BOS has it once). A model that
/// has a BOS opens an empty prompt with it. `variables`: a JSON object for the
/// template (text/chat_template.hpp), or nothing. Errors: messages where the
/// model has no chat template, no tokenizer, no token at all.
result<std::vector<token_id>> prompt_tokens(
    const language_model& model, const std::string& prompt,
    std::span<const chat_message> messages, std::string_view variables = {});

/// A question as a model reads it, and what an answer's ids depend on.
struct read_question {
  std::vector<token_id> tokens;  // at least one
  /// What tokens[text_begin:] were read from, with the tokenizer's special
  /// tokens or without. Where nothing is known of it text_begin is their end.
  std::string text = {};
  bool special = true;
  std::size_t text_begin = 0;
  /// White space before the words of an answer (answer_lead).
  std::string lead = {};
};

/// As prompt_tokens.
result<read_question> question_of(const language_model& model,
                                  const std::string& prompt,
                                  std::span<const chat_message> messages,
                                  std::string_view variables = {});
/// A bare prompt that came as ids.
result<read_question> question_of(const language_model& model,
                                  std::vector<token_id> tokens);

/// White space that a chat template writes between the question (`opened`:
/// `messages` rendered at `now` with `variables`) and the words of the assistant, such as
/// Mistral's space behind [/INST]. A model says it before the words of its
/// answer, and a reference does not have it. Empty where the template writes
/// anything else, or does not go on with `opened`.
std::string answer_lead(const chat_template& chat,
                        std::span<const chat_message> messages,
                        const std::string& opened,
                        chat_template::clock::time_point now,
                        std::string_view variables = {});

/// The ids with which a model goes on to say `answer`: those behind the
/// question's where both are read as one text, and where a token would reach
/// across, ids that decode to the answer behind the question
/// (text/continuation.hpp). An answer that does not begin with the question's
/// lead is said behind it. May be empty.
result<std::vector<token_id>> answer_tokens(const language_model& model,
                                            const read_question& question,
                                            const std::string& answer);

/// Prompt and answer as one row with answer_begin between them. `end`: followed
/// by the model's first end-of-sequence token.
result<scoring_row> scoring_row_of(const language_model& model,
                                   const read_question& question,
                                   const std::string& answer, bool end,
                                   delta_ref delta = nullptr);
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
