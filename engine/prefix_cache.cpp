#include "engine/prefix_cache.hpp"

#include <algorithm>
#include <ranges>

namespace t2 {
namespace {

constexpr auto page_size = static_cast<std::size_t>(kv_store::page_tokens);
// A shorter beginning in the midst of a page is not worth a copy.
constexpr std::size_t worth_copying = 8;

std::size_t common(std::span<const token_id> a, std::span<const token_id> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

bool begins_with(std::span<const token_id> text,
                 std::span<const token_id> beginning) {
  return common(text, beginning) == beginning.size();
}

}  // namespace

prefix_cache::prefix_cache(page_pool& pool) : pool_(pool) {}
prefix_cache::~prefix_cache() = default;

prefix_cache::node* prefix_cache::open(const prefix_scope& scope) {
  auto [at, fresh] = roots_.try_emplace(scope);
  if (fresh) {
    at->second = std::make_unique<node>();
    at->second->scope = &at->first;
  }
  ++at->second->users;
  return at->second.get();
}

void prefix_cache::close(node* root) {
  --root->users;
  drop_if_unused(root);
}

void prefix_cache::drop_if_unused(node* root) {
  if (root->users == 0 && root->children.empty())
    roots_.erase(roots_.find(*root->scope));
}

prefix_cache::beginning prefix_cache::find(node* root,
                                           std::span<const token_id> tokens) {
  beginning found;
  found.last = root;
  std::vector<node*> path;
  while (tokens.size() >= page_size) {
    const auto page = tokens.first(page_size);
    const auto& children = found.last->children;
    const auto next = std::ranges::find_if(children, [&](const auto& child) {
      return std::ranges::equal(child->tokens, page);
    });
    if (next == children.end()) break;
    found.last = next->get();
    found.pages.push_back(found.last->page);
    path.push_back(found.last);
    tokens = tokens.subspan(page_size);
  }
  node* partly = nullptr;
  std::size_t slots = 0;
  for (const auto& child : found.last->children) {
    const auto length = common(child->tokens, tokens);
    if (length > slots) {
      slots = length;
      partly = child.get();
    }
  }
  if (partly && (slots >= worth_copying || slots == tokens.size() ||
                 slots == partly->tokens.size())) {
    found.partly = partly->page;
    found.slots = static_cast<std::int32_t>(slots);
    path.push_back(partly);
  }
  // The beginning last: what follows a page is dropped before it.
  for (auto* used : path | std::views::reverse)
    recent_.splice(recent_.begin(), recent_, used->place);
  return found;
}

prefix_cache::node* prefix_cache::begin_page(node* before, page_id page,
                                             std::span<const token_id> tokens,
                                             std::int64_t stays) {
  if (std::ranges::any_of(before->children, [&](const auto& child) {
        return begins_with(child->tokens, tokens);
      }))
    return nullptr;
  auto fresh = std::make_unique<node>();
  auto* at = fresh.get();
  at->parent = before;
  at->page = page;
  at->tokens.assign(tokens.begin(), tokens.end());
  at->stays = stays - at->begin();
  // Behind the page before it: it goes sooner.
  at->place = recent_.insert(
      before->parent ? std::next(before->place) : recent_.begin(), at);
  before->children.push_back(std::move(fresh));
  pool_.keep(page);
  return at;
}

void prefix_cache::fill_page(node* at, std::span<const token_id> tokens,
                             std::int64_t stays) {
  at->tokens.insert(at->tokens.end(), tokens.begin(), tokens.end());
  at->stays = std::max(at->stays, stays - at->begin());
}

void prefix_cache::leave(node* at) {
  while (at->parent && at->children.empty() && pool_.readers(at->page) == 0) {
    auto& tokens = at->tokens;
    if (std::ssize(tokens) > at->stays)
      tokens.resize(
          static_cast<std::size_t>(std::max<std::int64_t>(0, at->stays)));
    auto* before = at->parent;
    // Another page may say the same, and more.
    if (std::ranges::none_of(before->children,
                             [&](const auto& other) {
                               return other.get() != at &&
                                      begins_with(other->tokens, tokens);
                             }) &&
        !tokens.empty())
      return;
    unlink(at);
    at = before;
  }
}

void prefix_cache::take_back(node* at, std::size_t tokens) {
  at->tokens.resize(tokens);
  if (tokens == 0) unlink(at);
}

bool prefix_cache::evict() {
  for (auto* at : recent_ | std::views::reverse) {
    if (pool_.readers(at->page) > 0 || !at->children.empty()) continue;
    unlink(at);
    return true;
  }
  return false;
}

void prefix_cache::unlink(node* at) {
  auto* before = at->parent;
  recent_.erase(at->place);
  pool_.drop(at->page);
  std::erase_if(before->children,
                [&](const auto& child) { return child.get() == at; });
  if (!before->parent) drop_if_unused(before);
}

}  // namespace t2
