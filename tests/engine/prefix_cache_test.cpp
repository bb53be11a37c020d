// Pages with readers and keepers, and the tree of beginnings over them: what is
// found, what is shared, what stays and what goes first.
#include "engine/prefix_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace t2 {
namespace {

constexpr std::int64_t page = kv_store::page_tokens;

TEST(page_pool, hands_out_what_was_given_back_last) {
  page_pool pool{4};
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.take(), 2);
  pool.release(0);
  pool.release(1);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 3);
  EXPECT_EQ(pool.take(), std::nullopt);
  EXPECT_EQ(pool.used(), 4);
  EXPECT_EQ(pool.free(), 0);
}

TEST(page_pool, frees_a_page_when_neither_readers_nor_the_cache_want_it) {
  page_pool pool{2};
  const auto one = *pool.take();
  pool.hold(one);
  pool.keep(one);
  pool.release(one);
  EXPECT_EQ(pool.used(), 1);
  pool.release(one);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_EQ(pool.idle(), 1);
  EXPECT_EQ(pool.free(), 1);
  pool.hold(one);  // found again
  EXPECT_EQ(pool.idle(), 0);
  pool.drop(one);  // while it is read
  EXPECT_EQ(pool.free(), 1);
  pool.release(one);
  EXPECT_EQ(pool.free(), 2);
}

std::vector<token_id> tokens_of(std::int64_t count, token_id first) {
  std::vector<token_id> out(static_cast<std::size_t>(count));
  std::iota(out.begin(), out.end(), first);
  return out;
}

/// A sequence that is computed and gone.
struct texts : testing::Test {
  page_pool pool{16};
  prefix_cache cache{pool};
  prefix_cache::node* root = cache.open({});

  void TearDown() override { cache.close(root); }

  prefix_cache::node* write(const std::vector<token_id>& tokens,
                            std::int64_t stays = 1 << 20,
                            prefix_cache::node* of = nullptr) {
    if (!of) of = root;
    auto found = cache.find(of, tokens);
    auto* at = found.last;
    for (const auto p : found.pages) pool.hold(p);
    auto pages = found.pages;
    for (auto from = std::ssize(found.pages) * page; from < std::ssize(tokens);
         from += page) {
      pages.push_back(*pool.take());
      const auto size = std::min(page, std::ssize(tokens) - from);
      auto* next = cache.begin_page(
          at, pages.back(),
          std::span{tokens}.subspan(static_cast<std::size_t>(from),
                                    static_cast<std::size_t>(size)),
          stays);
      if (!next) break;
      at = next;
    }
    for (const auto p : pages) pool.release(p);
    cache.leave(at);
    return at;
  }
};

TEST_F(texts, are_found_as_far_as_they_agree) {
  const auto known = tokens_of(40, 100);  // two pages and a half
  write(known);
  EXPECT_EQ(pool.idle(), 3);
  EXPECT_EQ(cache.find(root, known).tokens(), 40);
  // A page in its midst: from eight tokens on, or all that is asked or known.
  auto other = known;
  other[20] = 1;
  EXPECT_EQ(cache.find(root, other).tokens(), 16) << "four of the second page";
  other = known;
  other[25] = 1;
  const auto most = cache.find(root, other);
  EXPECT_EQ(most.tokens(), 25);
  EXPECT_EQ(most.pages.size(), 1u);
  EXPECT_EQ(most.slots, 9);
  EXPECT_EQ(cache.find(root, std::span{known}.first(19)).tokens(), 19);
  EXPECT_EQ(cache.find(root, std::span{known}.first(3)).tokens(), 3);
  EXPECT_EQ(cache.find(root, std::span{known}.first(0)).tokens(), 0);
  EXPECT_EQ(cache.find(root, tokens_of(40, 101)).tokens(), 0);
  EXPECT_EQ(cache.find(root, tokens_of(80, 100)).tokens(), 40);
}

TEST_F(texts, of_other_scopes_are_never_found) {
  const auto known = tokens_of(40, 100);
  write(known);
  for (const prefix_scope& scope :
       {prefix_scope{"a", "", true}, prefix_scope{"", "a", true},
        prefix_scope{"", "", false}}) {
    auto* other = cache.open(scope);
    EXPECT_EQ(cache.find(other, known).tokens(), 0);
    cache.close(other);
  }
}

TEST_F(texts, stay_as_far_as_was_asked_and_no_token_further) {
  write(tokens_of(50, 100), 0);
  EXPECT_EQ(pool.free(), 16) << "nothing";
  write(tokens_of(50, 100), 21);
  EXPECT_EQ(pool.idle(), 2);
  EXPECT_EQ(cache.find(root, tokens_of(50, 100)).tokens(), 21);
  // Who continues it and wants less takes nothing of it away.
  write(tokens_of(60, 100), 5);
  EXPECT_EQ(cache.find(root, tokens_of(50, 100)).tokens(), 21);
  EXPECT_EQ(pool.used(), 0);
}

TEST_F(texts, that_stay_alike_are_one) {
  for (token_id own = 500; own < 510; ++own) {
    auto tokens = tokens_of(20, 100);
    tokens[19] = own;
    write(tokens, 19);
  }
  EXPECT_EQ(pool.idle(), 2);
}

TEST_F(texts, go_the_oldest_first_and_their_ends_before_their_beginnings) {
  write(tokens_of(32, 100));
  write(tokens_of(32, 200));
  (void)cache.find(root, tokens_of(32, 100));
  // What is found counts as used.
  EXPECT_TRUE(cache.evict());
  EXPECT_EQ(cache.find(root, tokens_of(32, 200)).tokens(), 16);
  EXPECT_TRUE(cache.evict());
  EXPECT_EQ(cache.find(root, tokens_of(32, 100)).tokens(), 16);
  EXPECT_TRUE(cache.evict());
  EXPECT_EQ(cache.find(root, tokens_of(32, 200)).tokens(), 0);
  EXPECT_TRUE(cache.evict());
  EXPECT_FALSE(cache.evict());
  EXPECT_EQ(pool.free(), 16);
}

TEST_F(texts, that_are_read_stay) {
  write(tokens_of(32, 100));
  const auto found = cache.find(root, tokens_of(20, 100));
  ASSERT_EQ(found.slots, 4);
  pool.hold(found.pages.front());
  EXPECT_TRUE(cache.evict());
  EXPECT_FALSE(cache.evict());
  pool.release(found.pages.front());
  EXPECT_TRUE(cache.evict());
}

TEST_F(texts, that_were_not_computed_are_taken_back) {
  const auto tokens = tokens_of(24, 100);
  const auto one = *pool.take(), two = *pool.take();
  auto* first =
      cache.begin_page(root, one, std::span{tokens}.first(16), 1 << 20);
  auto* second =
      cache.begin_page(first, two, std::span{tokens}.subspan(16, 3), 1 << 20);
  cache.fill_page(second, std::span{tokens}.subspan(19, 5), 1 << 20);
  EXPECT_EQ(cache.find(root, tokens).tokens(), 24);
  cache.take_back(second, 3);
  EXPECT_EQ(cache.find(root, tokens).tokens(), 19);
  cache.take_back(second, 0);
  cache.take_back(first, 0);
  EXPECT_EQ(cache.find(root, tokens).tokens(), 0);
  pool.release(one);
  pool.release(two);
  EXPECT_EQ(pool.free(), 16);
}

}  // namespace
}  // namespace t2
