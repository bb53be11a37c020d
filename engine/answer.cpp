#include "engine/answer.hpp"

#include <algorithm>

namespace t2 {
namespace {

/// Length of the longest end of `text` that begins one of `words`.
std::size_t pending(const std::string& text,
                    const std::vector<std::string>& words) {
  std::size_t longest = 0;
  for (const auto& word : words)
    for (auto n = std::min(word.size() - 1, text.size()); n > longest; --n)
      if (text.compare(text.size() - n, n, word, 0, n) == 0) longest = n;
  return longest;
}

}  // namespace

answer::answer(std::shared_ptr<const tokenizer> text,
               std::vector<std::string> stop)
    : stop_(std::move(stop)) {
  if (!text) return;
  vocabulary_ = text->vocab_size();
  detokenizer_.emplace(std::move(text));
}

result<void> answer::begin_after(std::span<const token_id> prompt) {
  return detokenizer_ ? detokenizer_->begin_after(prompt) : result<void>{};
}

answer::piece answer::release(std::string more) {
  held_ += more;
  auto first = std::string::npos;
  for (const auto& word : stop_) first = std::min(first, held_.find(word));
  if (first != std::string::npos) return {held_.substr(0, first), true};
  const auto keep = pending(held_, stop_);
  piece out{held_.substr(0, held_.size() - keep), false};
  held_.erase(0, held_.size() - keep);
  return out;
}

result<answer::piece> answer::push(token_id token) {
  // A model may have more rows than its tokenizer has tokens.
  if (!detokenizer_ || token >= vocabulary_) return piece{};
  auto more = detokenizer_->push(token);
  if (!more) return more.error();
  return release(*std::move(more));
}

result<std::string> answer::finish() {
  if (!detokenizer_) return std::string{};
  auto more = detokenizer_->finish();
  if (!more) return more.error();
  auto last = release(*std::move(more));
  return last.stopped ? last.text : last.text + held_;
}

}  // namespace t2
