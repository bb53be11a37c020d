// Pages under a budget, sequences that borrow others' beginnings, and the
// cache of prefixes: what is shared, kept and given back.
#include <gtest/gtest.h>

#include <numeric>

#include "model/kv_cache.hpp"
#include "model/prefix_cache.hpp"

namespace t2 {
namespace {

constexpr std::int64_t page = kv_page::tokens;

model_config small() {
  model_config c;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 8;
  return c;
}

/// A pool with room for so many pages.
kv_pool pool_of(std::int64_t pages) {
  const kv_pool sized{small(), c10::kFloat, c10::kCPU, 0};
  return {small(), c10::kFloat, c10::kCPU, pages * sized.page_bytes()};
}

TEST(kv_pool, counts_pages_in_bytes) {
  const auto pool = pool_of(4);
  // Keys and values of 2 layers, 2 heads, 8 entries, 16 tokens, 4 bytes.
  EXPECT_EQ(pool.page_bytes(), 2 * 2 * 2 * 8 * 16 * 4);
  EXPECT_EQ(pool.bytes_for(0), 0);
  EXPECT_EQ(pool.bytes_for(1), pool.page_bytes());
  EXPECT_EQ(pool.bytes_for(page), pool.page_bytes());
  EXPECT_EQ(pool.bytes_for(page + 1), 2 * pool.page_bytes());
}

TEST(kv_pool, takes_back_what_sequences_leave) {
  auto pool = pool_of(3);
  auto first = pool.allocate(2 * page);
  ASSERT_TRUE(first);
  EXPECT_EQ(pool.bytes_used(), 2 * pool.page_bytes());
  EXPECT_FALSE(pool.allocate(page + 1)) << "two more do not fit";
  EXPECT_EQ(pool.bytes_used(), 2 * pool.page_bytes()) << "nothing is kept";
  const auto* memory = first->segments().front().page->keys;
  first.reset();
  EXPECT_EQ(pool.bytes_used(), 0);
  const auto again = pool.allocate(3 * page);
  ASSERT_TRUE(again);
  bool reused = false;
  for (const auto& s : again->segments()) reused |= s.page->keys == memory;
  EXPECT_TRUE(reused);
}

TEST(kv_pool, keeps_what_it_added_where_the_budget_ends) {
  auto pool = pool_of(2);
  const auto sequence = pool.open();
  EXPECT_FALSE(pool.grow(*sequence, 3 * page));
  EXPECT_EQ(sequence->room(), 2 * page);
  EXPECT_TRUE(pool.grow(*sequence, 2 * page)) << "has room already";
}

TEST(kv_pool, lends_a_beginning_at_any_position) {
  auto pool = pool_of(8);
  const auto parent = pool.allocate(2 * page + 5);
  const auto child = pool.allocate(page, parent, page + 3);
  ASSERT_TRUE(child);
  EXPECT_EQ(child->start(), page + 3);
  // Its own page begins where the parent's part ends, in slot 0.
  const auto& own = child->own(page + 3);
  EXPECT_EQ(own.first, page + 3);
  EXPECT_NE(own.page, parent->segments()[1].page);
  // Segments cover the positions in order, without gaps.
  std::int64_t at = 0;
  for (const auto& s : child->segments()) {
    EXPECT_EQ(s.first, at);
    EXPECT_GT(s.last, s.first);
    at = s.last;
  }
  EXPECT_EQ(at, child->room());
  EXPECT_EQ(child->segments()[0].page, parent->segments()[0].page);
}

TEST(kv_pool, keeps_a_parents_pages_while_a_child_reads_them) {
  auto pool = pool_of(4);
  auto parent = pool.allocate(2 * page);
  const auto child = pool.allocate(page, parent, page);
  parent.reset();
  // The borrowed page and its own; the parent's second came back.
  EXPECT_EQ(pool.bytes_used(), 2 * pool.page_bytes());
}

std::vector<token_id> tokens(std::int64_t count, token_id from = 0) {
  std::vector<token_id> out(static_cast<std::size_t>(count));
  std::iota(out.begin(), out.end(), from);
  return out;
}

/// Puts whole pages of `prompt` into the cache, from a sequence that ends.
void remember(prefix_cache& cache, kv_pool& pool, prefix_key key,
              const std::vector<token_id>& prompt) {
  const auto size = static_cast<std::int64_t>(prompt.size());
  const auto sequence = pool.allocate(size);
  ASSERT_TRUE(sequence);
  for (std::int64_t i = 0; (i + 1) * page <= size; ++i) {
    const auto before = key;
    key = prefix_after(before, std::span{prompt}.subspan(
                                   static_cast<std::size_t>(i * page), page));
    cache.put(key, before,
              sequence->segments()[static_cast<std::size_t>(i)].page);
  }
}

TEST(prefix_cache, finds_the_longest_beginning_in_whole_pages) {
  auto pool = pool_of(16);
  prefix_cache cache;
  const auto root = prefix_root("", "");
  const auto prompt = tokens(3 * page + 4);
  remember(cache, pool, root, prompt);
  EXPECT_EQ(cache.idle_pages(), 3);

  auto key = root;
  EXPECT_EQ(cache.find(key, prompt).size(), 3u);
  EXPECT_NE(key, root);
  // One token less than two pages: one page.
  key = root;
  EXPECT_EQ(cache.find(key, std::span{prompt}.first(2 * page - 1)).size(), 1u);
  // Another second page.
  auto other = prompt;
  other[page] = 999;
  key = root;
  EXPECT_EQ(cache.find(key, other).size(), 1u);
  // Another first token: nothing.
  other = prompt;
  other[0] = 999;
  key = root;
  EXPECT_TRUE(cache.find(key, other).empty());
  EXPECT_EQ(key, root);
}

TEST(prefix_cache, tells_mixtures_and_callers_apart) {
  auto pool = pool_of(16);
  prefix_cache cache;
  const auto prompt = tokens(2 * page);
  remember(cache, pool, prefix_root("mixture", "a"), prompt);
  for (const auto& [mixture, scope] :
       {std::pair{"", "a"}, {"mixture", ""}, {"mixture", "b"},
        {"mixturea", ""}, {"a", "mixture"}}) {
    auto key = prefix_root(mixture, scope);
    EXPECT_TRUE(cache.find(key, prompt).empty()) << mixture << "," << scope;
  }
  auto key = prefix_root("mixture", "a");
  EXPECT_EQ(cache.find(key, prompt).size(), 2u);
}

TEST(prefix_cache, drops_ends_before_beginnings_and_the_oldest_first) {
  auto pool = pool_of(16);
  prefix_cache cache;
  const auto root = prefix_root("", "");
  const auto old = tokens(2 * page), young = tokens(2 * page, 500);
  remember(cache, pool, root, old);
  remember(cache, pool, root, young);
  const auto known = [&](const std::vector<token_id>& prompt) {
    auto key = root;
    return cache.find(key, prompt).size();
  };
  auto key = root;
  cache.find(key, old);  // now the younger
  EXPECT_TRUE(cache.evict());
  EXPECT_EQ(pool.bytes_used(), 3 * pool.page_bytes());
  EXPECT_EQ(known(young), 1u) << "its end went first";
  EXPECT_EQ(known(old), 2u);
}

TEST(prefix_cache, drops_nothing_that_is_read) {
  auto pool = pool_of(16);
  prefix_cache cache;
  const auto root = prefix_root("", "");
  const auto prompt = tokens(2 * page);
  remember(cache, pool, root, prompt);
  auto key = root;
  const auto reader = pool.open(cache.find(key, prompt));
  EXPECT_EQ(reader->start(), 2 * page);
  EXPECT_EQ(cache.idle_pages(), 0);
  EXPECT_FALSE(cache.evict());
}

}  // namespace
}  // namespace t2
