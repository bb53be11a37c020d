#include "actors/token_report.hpp"

#include <algorithm>
#include <utility>

namespace t2 {

token_report::token_report(std::shared_ptr<const tokenizer> vocabulary)
    : vocabulary_(vocabulary), text_(std::move(vocabulary)) {}

result<void> token_report::begin_after(std::span<const token_id> prompt) {
  return text_.begin_after(prompt);
}

result<std::vector<answer_token>> token_report::on(
    const generation_event& event) {
  for (const sampled_token& sampled : event.tokens)
    if (auto taken = take(sampled); !taken) return taken.error();
  told_bytes_ += event.text.size();
  bool all = false;
  if (event.finished) {
    auto rest = text_.finish();
    if (!rest) return rest.error();
    count(*rest);
    // Less text than the tokens have: a stop text cut it.
    all = told_bytes_ >= bytes_;
  }
  std::vector<answer_token> told;
  while (!waiting_.empty() && (all || waiting_.front().begin < told_bytes_)) {
    told.push_back(std::move(waiting_.front().token));
    waiting_.pop_front();
  }
  return told;
}

result<void> token_report::take(const sampled_token& sampled) {
  answer_token token{.bytes = {},
                     .log_probability = sampled.log_probability};
  auto bytes = bytes_of(sampled.token);
  if (!bytes) return bytes.error();
  token.bytes = *std::move(bytes);
  for (const token_likelihood& other : sampled.alternatives) {
    auto name = bytes_of(other.token);
    if (!name) return name.error();
    token.alternatives.emplace_back(*std::move(name), other.log_probability);
  }
  result<std::string> more = std::string{};
  if (names(sampled.token)) more = text_.push(sampled.token);
  if (!more) return more.error();
  // Text of earlier tokens may have waited for this one.
  std::size_t earlier = 0;
  if (!token.bytes.empty() && more->ends_with(token.bytes))
    earlier = more->size() - token.bytes.size();
  count(more->substr(0, earlier));
  token.text_offset = characters_;
  waiting_.push_back({std::move(token), bytes_});
  count(more->substr(earlier));
  return {};
}

result<std::string> token_report::bytes_of(token_id id) const {
  if (!names(id)) return std::string{};
  return vocabulary_->token_bytes(id);
}

bool token_report::names(token_id id) const {
  return id < vocabulary_->vocab_size();
}

void token_report::count(const std::string& text) {
  bytes_ += text.size();
  characters_ += std::ranges::count_if(text, [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  });
}

}  // namespace t2
