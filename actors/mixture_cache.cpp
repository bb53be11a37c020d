#include "actors/mixture_cache.hpp"

#include <utility>

namespace t2 {

std::optional<delta_ref> mixture_cache::find(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->delta;
}

void mixture_cache::put(const std::string& key, delta_ref delta,
                        std::int64_t bytes) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    drop(found->second);
  }
  if (bytes > limit_) return;
  entries_.push_front({key, std::move(delta), bytes});
  by_key_.emplace(key, entries_.begin());
  bytes_ += bytes;
  while (bytes_ > limit_) drop(std::prev(entries_.end()));
}

void mixture_cache::clear() {
  entries_.clear();
  by_key_.clear();
  bytes_ = 0;
}

void mixture_cache::drop(std::list<entry>::iterator e) {
  bytes_ -= e->bytes;
  by_key_.erase(e->key);
  entries_.erase(e);
}

}  // namespace t2
