#include "adaptation/prompting.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "model/language_model.hpp"
#include "text/continuation.hpp"

namespace t2 {
namespace {

// The text of a question as the model reads it, and whether the tokenizer
// opens it with its special tokens (a chat template writes them itself).
struct written {
  std::string text;
  bool special = true;
};

result<written> write_question(
    const language_model& model, const std::string& prompt,
    std::span<const chat_message> messages, std::string_view variables,
    chat_template::clock::time_point now = chat_template::clock::now()) {
  if (!model.text())
    return error{ec::invalid_argument,
                 model.name() + ": expected a tokenizer.json, found none"};
  if (messages.empty()) return written{prompt, true};
  if (!model.chat())
    return error{ec::invalid_argument,
                 model.name() +
                     ": expected a chat template for messages, found none; "
                     "ask with a plain prompt"};
  auto text = model.chat()->render(messages, true, now, variables);
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

}  // namespace

result<std::vector<token_id>> prompt_tokens(
    const language_model& model, const std::string& prompt,
    std::span<const chat_message> messages, std::string_view variables) {
  const auto question = write_question(model, prompt, messages, variables);
  if (!question) return question.error();
  return encode_question(model, *question);
}

result<read_question> question_of(const language_model& model,
                                  const std::string& prompt,
                                  std::span<const chat_message> messages,
                                  std::string_view variables) {
  const auto now = chat_template::clock::now();
  auto question = write_question(model, prompt, messages, variables, now);
  if (!question) return question.error();
  auto tokens = encode_question(model, *question);
  if (!tokens) return tokens.error();
  read_question out{.tokens = *std::move(tokens),
                    .text = std::move(question->text),
                    .special = question->special};
  if (!messages.empty())
    out.lead = answer_lead(*model.chat(), messages, out.text, now, variables);
  return out;
}

result<read_question> question_of(const language_model& model,
                                  std::vector<token_id> tokens) {
  if (!model.text())
    return error{ec::invalid_argument,
                 model.name() + ": expected a tokenizer.json, found none"};
  const auto end = tokens.size();
  read_question out{.tokens = std::move(tokens), .text_begin = end};
  // A text that becomes these ids again, where there is one.
  for (const auto& [skip, special] :
       {std::pair{true, true}, {true, false}, {false, false}}) {
    auto text = model.text()->decode(out.tokens, skip);
    if (!text) continue;  // rows that the tokenizer has no token for
    const auto again = encode_question(model, {*text, special});
    if (!again || *again != out.tokens) continue;
    out.text = *std::move(text);
    out.special = special;
    out.text_begin = 0;
    break;
  }
  return out;
}

std::string answer_lead(const chat_template& chat,
                        std::span<const chat_message> messages,
                        const std::string& opened,
                        chat_template::clock::time_point now,
                        std::string_view variables) {
  constexpr std::string_view words = "[[answer]]";
  std::vector<chat_message> turns(messages.begin(), messages.end());
  turns.push_back({"assistant", std::string{words}});
  const auto whole = chat.render(turns, false, now, variables);
  if (!whole || !whole->starts_with(opened)) return {};
  const auto at = whole->find(words, opened.size());
  if (at == std::string::npos) return {};
  auto lead = whole->substr(opened.size(), at - opened.size());
  if (lead.find_first_not_of(" \t\r\n") != std::string::npos) return {};
  return lead;
}

result<std::vector<token_id>> answer_tokens(const language_model& model,
                                            const read_question& question,
                                            const std::string& answer) {
  if (answer.empty()) return std::vector<token_id>{};
  const std::string said = answer.starts_with(question.lead)
                               ? answer
                               : question.lead + answer;
  const auto read = std::span{question.tokens}.subspan(question.text_begin);
  if (!read.empty()) {
    const auto both =
        encode_question(model, {question.text + said, question.special});
    if (!both) return both.error();
    if (both->size() > read.size() &&
        std::ranges::mismatch(*both, read).in2 == read.end())
      return std::vector<token_id>(
          both->begin() + static_cast<std::ptrdiff_t>(read.size()),
          both->end());
  }
  return continuation(model.text(), question.tokens, said);
}

result<scoring_row> scoring_row_of(const language_model& model,
                                   const read_question& question,
                                   const std::string& answer, bool end,
                                   delta_ref delta) {
  const auto after = answer_tokens(model, question, answer);
  if (!after) return after.error();
  scoring_row row{.tokens = question.tokens,
                  .answer_begin = question.tokens.size(),
                  .delta = std::move(delta)};
  row.tokens.insert(row.tokens.end(), after->begin(), after->end());
  const auto& ends = model.config().eos_tokens;
  if (end && !ends.empty()) row.tokens.push_back(ends.front());
  if (row.tokens.size() == row.answer_begin)
    return error{ec::invalid_argument,
                 "answer: expected at least one token, found none"};
  return row;
}

result<scoring_row> scoring_row_of(const language_model& model,
                                   const example& e, bool end,
                                   delta_ref delta) {
  return scoring_row_of(model, e, e.answer, end, std::move(delta));
}

result<scoring_row> scoring_row_of(const language_model& model,
                                   const example& e, const std::string& answer,
                                   bool end, delta_ref delta) {
  const auto question = question_of(model, e.prompt, e.messages);
  if (!question) return question.error();
  auto row = scoring_row_of(model, *question, answer, end, std::move(delta));
  if (!row)
    return error{row.error().code,
                 "example " + e.id + ": " + row.error().message};
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
