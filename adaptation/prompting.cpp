#include "adaptation/prompting.hpp"

#include <algorithm>
#include <string_view>

#include "model/language_model.hpp"

namespace t2 {
namespace {

// The text of a question as the model reads it, and whether the tokenizer
// opens it with its special tokens (a chat template writes them itself).
struct written {
  std::string text;
  bool special = true;
};

result<written> write_question(const language_model& model,
                               const std::string& prompt,
                               std::span<const chat_message> messages) {
  if (!model.text())
    return error{ec::invalid_argument,
                 model.name() + ": expected a tokenizer.json, found none"};
  if (messages.empty()) return written{prompt, true};
  if (!model.chat())
    return error{ec::invalid_argument,
                 model.name() +
                     ": expected a chat template for messages, found none; "
                     "ask with a plain prompt"};
  auto text = model.chat()->render(messages, true);
  if (!text) return text.error();
  return written{*std::move(text), false};
}

result<std::vector<token_id>> encode_question(const language_model& model,
                                              const written& question) {
  auto tokens = model.text()->encode(question.text, question.special);
  if (!tokens) return tokens.error();
  const auto bos = model.config().bos_token;
  if (bos && tokens->size() > 1 && (*tokens)[0] == *bos && (*tokens)[1] == *bos)
    tokens->erase(tokens->begin());  // the prompt writes it out
  if (bos && tokens->empty()) tokens->push_back(*bos);
  if (tokens->empty())
    return error{ec::invalid_argument,
                 "prompt: expected at least one token, found none"};
  return tokens;
}

void append_end(const language_model& model, std::vector<token_id>& tokens) {
  const auto& ends = model.config().eos_tokens;
  if (!ends.empty()) tokens.push_back(ends.front());
}

}  // namespace

result<std::vector<token_id>> prompt_tokens(
    const language_model& model, const std::string& prompt,
    std::span<const chat_message> messages) {
  const auto question = write_question(model, prompt, messages);
  if (!question) return question.error();
  return encode_question(model, *question);
}

result<std::vector<token_id>> answer_tokens(const language_model& model,
                                            const std::string& answer,
                                            bool end) {
  if (!model.text())
    return error{ec::invalid_argument,
                 model.name() + ": expected a tokenizer.json, found none"};
  auto tokens = model.text()->encode(answer, false);
  if (tokens && end) append_end(model, *tokens);
  return tokens;
}

result<scoring_row> scoring_row_of(const language_model& model,
                                   const example& e, bool end,
                                   delta_ref delta) {
  return scoring_row_of(model, e, e.answer, end, std::move(delta));
}

result<scoring_row> scoring_row_of(const language_model& model,
                                   const example& e, const std::string& answer,
                                   bool end, delta_ref delta) {
  const auto question = write_question(model, e.prompt, e.messages);
  if (!question) return question.error();
  auto tokens = encode_question(model, *question);
  if (!tokens) return tokens.error();
  scoring_row row{.tokens = *std::move(tokens),
                  .answer_begin = 0,
                  .delta = std::move(delta)};
  row.answer_begin = row.tokens.size();

  // Read together, the answer has no tokenizer's opening of its own (Llama's
  // opens every text with a space). Where the border falls into a token, the
  // two are read apart: the prompt must stay what a question would be.
  const written both{question->text + answer, question->special};
  const auto joined = encode_question(model, both);
  if (!joined) return joined.error();
  if (joined->size() > row.tokens.size() &&
      std::equal(row.tokens.begin(), row.tokens.end(), joined->begin())) {
    row.tokens = *joined;
  } else {
    const auto apart = answer_tokens(model, answer, false);
    if (!apart) return apart.error();
    row.tokens.insert(row.tokens.end(), apart->begin(), apart->end());
  }
  if (end) append_end(model, row.tokens);
  if (row.tokens.size() == row.answer_begin)
    return error{ec::invalid_argument,
                 "example " + e.id +
                     ": answer: expected at least one token, found none"};
  return row;
}

result<training_row> training_row_of(const language_model& model,
                                     const example& e,
                                     std::int64_t max_tokens) {
  // Only an answer in a conversation is known to end where its text ends.
  auto row = scoring_row_of(model, e, !e.messages.empty());
  if (!row) return row.error();
  if (static_cast<std::int64_t>(row->answer_begin) >= max_tokens)
    return error{ec::exhausted,
                 "example " + e.id + ": expected a prompt below " +
                     std::to_string(max_tokens) + " tokens, found " +
                     std::to_string(row->answer_begin)};
  if (static_cast<std::int64_t>(row->tokens.size()) > max_tokens)
    row->tokens.resize(static_cast<std::size_t>(max_tokens));
  training_row out{.tokens = std::move(row->tokens),
                   .answer_begin = row->answer_begin,
                   .weights = {}};
  out.weights.assign(out.tokens.size() - out.answer_begin, 1.0f);
  return out;
}

}  // namespace t2
