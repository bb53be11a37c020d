#include "model/dense_copies.hpp"

namespace t2 {

std::shared_ptr<const dense_copies::weights> dense_copies::find(
    const std::string& digest) {
  const auto at = index_.find(digest);
  if (at == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->copy;
}

std::shared_ptr<const dense_copies::weights> dense_copies::put(
    const std::string& digest, weights copy) {
  if (auto known = find(digest)) return known;
  std::int64_t bytes = 0;
  for (const auto& w : copy) bytes += w.bytes();
  while (!entries_.empty() && bytes_ + bytes > budget_) {
    bytes_ -= entries_.back().bytes;
    index_.erase(entries_.back().digest);
    entries_.pop_back();
  }
  entries_.push_front(
      {digest, std::make_shared<const weights>(std::move(copy)), bytes});
  index_[digest] = entries_.begin();
  charged_.erase(digest);
  bytes_ += bytes;
  ++builds_;
  return entries_.front().copy;
}

double dense_copies::charge(const std::string& digest, double seconds) {
  // A search passes thousands of mixtures through here once each.
  constexpr std::size_t remembered = 1024;
  if (charged_.size() >= remembered && !charged_.contains(digest))
    charged_.clear();
  return charged_[digest] += seconds;
}

}  // namespace t2
