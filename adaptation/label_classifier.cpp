#include "adaptation/label_classifier.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "adaptation/prompting.hpp"
#include "model/language_model.hpp"

namespace t2 {
namespace {

constexpr const char* other = "other";
// Where the query goes when a chat template writes the instruction.
constexpr std::string_view slot = "[[query]]";

std::string instruction(const std::vector<query_label>& labels) {
  std::string text = "Say in one word which class the query belongs to.\n";
  for (const query_label& label : labels) {
    text += "- " + label.name;
    if (!label.description.empty()) text += ": " + label.description;
    text += "\n";
  }
  return text + "Query: ";
}

struct frame {
  std::string before, after;
  bool special = true;
  std::string lead = " ";  // before a label
};

result<frame> frame_of(const language_model& model,
                       const std::vector<query_label>& labels) {
  const std::string ask = instruction(labels);
  if (!model.chat()) return frame{ask, "\nClass:", true};
  const chat_message question{"user", ask + std::string{slot}};
  const auto now = chat_template::clock::now();
  const auto text = model.chat()->render({&question, 1}, true, now);
  if (!text) return text.error();
  const auto at = text->find(slot);
  if (at == std::string::npos || text->rfind(slot) != at)
    return frame{ask, "\nClass:", true};
  return frame{text->substr(0, at), text->substr(at + slot.size()), false,
               answer_lead(*model.chat(), {&question, 1}, *text, now)};
}

std::string words_of(const query& question) {
  if (question.messages.empty()) return question.prompt;
  // The turns of the person who asks; the last says most.
  std::string words;
  for (const chat_message& message : question.messages)
    if (message.role == "user")
      words += (words.empty() ? "" : "\n") + message.content;
  return words;
}

double mean_log_probability(const row_score& score) {
  return score.sum() / static_cast<double>(score.log_probabilities.size());
}

}  // namespace

query_label parse_label(const std::string& text) {
  const auto colon = text.find(':');
  query_label label{text.substr(0, colon), {}};
  if (colon != std::string::npos) {
    const auto first = text.find_first_not_of(' ', colon + 1);
    if (first != std::string::npos) label.description = text.substr(first);
  }
  return label;
}

result<label_classifier> label_classifier::make(
    std::shared_ptr<const language_model> model,
    std::vector<query_label> labels) {
  std::set<std::string> names;
  for (const query_label& label : labels)
    if (label.name.empty() || !names.insert(label.name).second)
      return error{ec::invalid_argument,
                   "labels: expected distinct names, found '" + label.name +
                       "' again"};
  if (labels.empty())
    return error{ec::invalid_argument, "labels: expected one, found none"};
  if (!names.contains(other)) labels.push_back({other, "none of these"});

  const auto words = frame_of(*model, labels);
  if (!words) return words.error();
  label_classifier made;
  if (!model->text())
    return error{ec::invalid_argument,
                 model->name() + ": expected a tokenizer.json, found none"};
  auto prefix = model->text()->encode(words->before, words->special);
  if (!prefix) return prefix.error();
  auto suffix = model->text()->encode(words->after, false);
  if (!suffix) return suffix.error();
  made.prefix_ = *std::move(prefix);
  made.suffix_ = *std::move(suffix);
  // The query's own ids between the two change nothing behind them.
  read_question asked{.tokens = made.prefix_,
                      .text = words->after,
                      .special = false,
                      .text_begin = made.prefix_.size(),
                      .lead = words->lead};
  asked.tokens.insert(asked.tokens.end(), made.suffix_.begin(),
                      made.suffix_.end());
  for (const query_label& label : labels) {
    auto answer = answer_tokens(*model, asked, label.name);
    if (!answer) return answer.error();
    if (answer->empty())
      return error{ec::invalid_argument,
                   "labels: expected a token in '" + label.name + "'"};
    made.answers_.push_back(*std::move(answer));
  }
  made.labels_ = std::move(labels);
  made.model_ = std::move(model);
  return made;
}

result<std::vector<token_id>> label_classifier::prompt(
    const query& question) const {
  std::vector<token_id> asked;
  std::string words = words_of(question);
  if (!question.prompt_ids.empty()) {
    auto decoded = model_->text()->decode(question.prompt_ids, true);
    if (!decoded) return decoded.error();
    words = *std::move(decoded);
  }
  if (!words.empty()) {
    auto tokens = model_->text()->encode(words, false);
    if (!tokens) return tokens.error();
    asked = *std::move(tokens);
    if (asked.size() > max_query_tokens)
      asked.erase(asked.begin(), asked.end() - static_cast<std::ptrdiff_t>(
                                                   max_query_tokens));
  }
  std::vector<token_id> out = prefix_;
  out.insert(out.end(), asked.begin(), asked.end());
  out.insert(out.end(), suffix_.begin(), suffix_.end());
  return out;
}

result<classification_rows> label_classifier::rows(
    const query& question, const delta_ref& delta) const {
  const auto shared = prompt(question);
  if (!shared) return shared.error();
  classification_rows out;
  for (const auto& answer : answers_) {
    scoring_row row{
        .tokens = *shared, .answer_begin = shared->size(), .delta = delta};
    row.tokens.insert(row.tokens.end(), answer.begin(), answer.end());
    out.rows.push_back(std::move(row));
  }
  // What all queries have in common, short of the label.
  out.shared_prefix = std::min(prefix_.size(), shared->size() - 1);
  return out;
}

result<classification> label_classifier::classify(
    std::span<const row_score> scores, std::span<const row_score> empty) const {
  if (scores.size() != labels_.size() ||
      (!empty.empty() && empty.size() != labels_.size()))
    return error{ec::invalid_argument,
                 "labels: expected scores of " +
                     std::to_string(labels_.size()) + " rows, found " +
                     std::to_string(scores.size())};
  classification out;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    double score = mean_log_probability(scores[i]);
    if (!empty.empty()) score -= mean_log_probability(empty[i]);
    if (!std::isfinite(score))
      return error{ec::internal, "labels: the score of '" + labels_[i].name +
                                     "' is not finite"};
    out.probabilities.push_back(score);
  }
  auto& p = out.probabilities;
  const double top = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& x : p) sum += x = std::exp(x - top);
  for (double& x : p) x /= sum;
  const auto best = std::max_element(p.begin(), p.end()) - p.begin();
  out.label = labels_[static_cast<std::size_t>(best)].name;
  out.confidence = p[static_cast<std::size_t>(best)];
  return out;
}

}  // namespace t2
