#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "model/kv_cache.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// Names what the keys and values of a page depend on, the mixture and all
/// tokens up to the page's end, and whose it is (SHA-256: nobody can make two
/// prompts that share a page without sharing their beginning).
using prefix_key = std::array<std::byte, 32>;

/// The key of no tokens under a mixture (its digest; empty: the base). Who has
/// another `scope` finds nothing of it: whether a prompt is answered sooner, or
/// counted as cached, would tell one caller how another's begins.
prefix_key prefix_root(std::string_view mixture, std::string_view scope);
/// The key of a page of tokens that follows `before`.
prefix_key prefix_after(const prefix_key& before,
                        std::span<const token_id> page);

/// Whole pages of sequences that were computed, for later sequences with the
/// same beginning. Holds no bytes of its own: its pages are the pool's, and who
/// needs one asks for the least recently used to be dropped. One thread.
class prefix_cache {
 public:
  /// The longest known beginning of `tokens` in whole pages; it counts as used.
  /// `key` is the one before them, and then the one behind what was found.
  std::vector<kv_page_ref> find(prefix_key& key,
                                std::span<const token_id> tokens);
  bool knows(const prefix_key& key) const { return index_.contains(key); }
  /// `before` is the key of the page before it: it goes later than this one.
  void put(const prefix_key& key, const prefix_key& before, kv_page_ref page);

  /// Drops the least recently used page that no sequence reads; false: none.
  bool evict();

  /// Pages that no sequence reads now.
  std::int64_t idle_pages() const;

 private:
  struct entry {
    prefix_key key;
    kv_page_ref page;
  };
  std::list<entry> entries_;  // most recently used first
  std::map<prefix_key, std::list<entry>::iterator> index_;
};

}  // namespace t2
