#pragma once

#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/page_pool.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// What keys and values depend on beside the tokens up to them, and whose they are.
struct prefix_scope {
  /// Who has another one finds nothing: whether a prompt is answered sooner, or
  /// counted as cached, would tell one caller how another's begins.
  std::string owner;
  std::string mixture;  // its digest; empty: the base
  /// False: they may have been computed with fewer singular values.
  bool exact = true;

  auto operator<=>(const prefix_scope&) const = default;
};

/// Beginnings of sequences and the pages that hold them: a tree for each scope, one
/// page of tokens a node, the tokens themselves on it. It knows what is computed and
/// what the step that is being planned computes: texts of one step share too. A
/// page that is not full yet is shared by copying (page_fork).
///
/// Pages that no sequence reads stay while there is room, and go when asked: least
/// recently used first, ends before beginnings. One thread.
class prefix_cache {
 public:
  struct node;

  explicit prefix_cache(page_pool& pool);
  ~prefix_cache();
  prefix_cache(const prefix_cache&) = delete;
  prefix_cache& operator=(const prefix_cache&) = delete;

  /// The root of a scope, for a sequence that close() is told of.
  node* open(const prefix_scope& scope);
  void close(node* root);

  /// The longest known beginning.
  struct beginning {
    std::vector<page_id> pages;  // full ones
    node* last = nullptr;        // of them, or the root
    page_id partly = -1;         // its first slots go on; −1: none
    std::int32_t slots = 0;
    std::int64_t tokens() const {
      return static_cast<std::int64_t>(pages.size()) * kv_store::page_tokens +
             slots;
    }
  };
  /// What is found counts as used. The caller holds the pages before it asks for
  /// anything else.
  beginning find(node* root, std::span<const token_id> tokens);

  /// Notes that a sequence behind `before` has `page` filled with `tokens`, from
  /// its first slot on. Null: they are known, in another page; what follows is not
  /// worth noting. `stays`: what is before this position of the sequence is kept
  /// when nobody reads it any more.
  node* begin_page(node* before, page_id page, std::span<const token_id> tokens,
                   std::int64_t stays);
  /// The same of tokens that are added to a page that is not full.
  void fill_page(node* at, std::span<const token_id> tokens, std::int64_t stays);

  /// A sequence that had noted as far as `at` has released its pages: what need not
  /// stay, and nobody else reads, is forgotten.
  void leave(node* at);

  /// Forgets what a node got beyond its first `tokens`, since it was not computed.
  void take_back(node* at, std::size_t tokens);

  /// Drops the least recently used page that nobody reads; false: none.
  bool evict();

 private:
  void unlink(node* at);
  void drop_if_unused(node* root);

  page_pool& pool_;
  std::map<prefix_scope, std::unique_ptr<node>> roots_;
  std::list<node*> recent_;  // most recently used first
};

struct prefix_cache::node {
  node* parent = nullptr;  // null: a root
  page_id page = -1;
  std::vector<token_id> tokens;  // of this page
  std::vector<std::unique_ptr<node>> children;
  std::int64_t stays = 0;  // so many of them when nobody reads it
  std::list<node*>::iterator place;
  const prefix_scope* scope = nullptr;  // of a root
  std::int64_t users = 0;               // of a root

  std::int64_t begin() const {  // position of its first token
    std::int64_t pages = 0;
    for (const auto* up = parent; up && up->parent; up = up->parent) ++pages;
    return pages * kv_store::page_tokens;
  }
};

}  // namespace t2
