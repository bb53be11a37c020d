#include "model/prefix_cache.hpp"

#include <algorithm>
#include <iterator>

#include "config/sha256.hpp"

namespace t2 {

prefix_key prefix_root(std::string_view mixture, std::string_view scope) {
  sha256 digest;
  // The length first: no pair is spelled like another one.
  const std::uint64_t length = scope.size();
  digest.update(std::as_bytes(std::span{&length, 1}));
  digest.update(scope);
  digest.update(mixture);
  return digest.digest();
}

prefix_key prefix_after(const prefix_key& before,
                        std::span<const token_id> page) {
  sha256 digest;
  digest.update(before);
  digest.update(std::as_bytes(page));
  return digest.digest();
}

std::vector<kv_page_ref> prefix_cache::find(prefix_key& key,
                                            std::span<const token_id> tokens) {
  std::vector<kv_page_ref> pages;
  std::vector<std::list<entry>::iterator> found;
  constexpr auto size = static_cast<std::size_t>(kv_page::tokens);
  for (; tokens.size() >= size; tokens = tokens.subspan(size)) {
    const auto next = prefix_after(key, tokens.first(size));
    const auto at = index_.find(next);
    if (at == index_.end()) break;
    key = next;
    found.push_back(at->second);
    pages.push_back(at->second->page);
  }
  // The beginning last: what follows a page is dropped before it.
  for (auto it = found.rbegin(); it != found.rend(); ++it)
    entries_.splice(entries_.begin(), entries_, *it);
  return pages;
}

void prefix_cache::put(const prefix_key& key, const prefix_key& before,
                       kv_page_ref page) {
  if (knows(key)) return;
  const auto found = index_.find(before);
  const auto at = found == index_.end() ? entries_.begin()
                                        : std::next(found->second);
  index_[key] = entries_.insert(at, {key, std::move(page)});
}

bool prefix_cache::evict() {
  for (auto it = entries_.end(); it != entries_.begin();) {
    if ((--it)->page.use_count() > 1) continue;
    index_.erase(it->key);
    entries_.erase(it);
    return true;
  }
  return false;
}

std::int64_t prefix_cache::idle_pages() const {
  return std::ranges::count_if(
      entries_, [](const entry& e) { return e.page.use_count() == 1; });
}

}  // namespace t2
