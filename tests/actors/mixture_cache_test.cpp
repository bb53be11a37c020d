#include "actors/mixture_cache.hpp"

#include <gtest/gtest.h>

namespace t2 {
namespace {

// What a mixture is does not matter to the cache: null deltas will do.
TEST(mixture_cache, drops_the_longest_unused_when_bytes_run_out) {
  mixture_cache cache(100);
  cache.put("a", nullptr, 40);
  cache.put("b", nullptr, 40);
  EXPECT_TRUE(cache.find("a"));
  cache.put("c", nullptr, 40);
  EXPECT_TRUE(cache.find("a"));
  EXPECT_FALSE(cache.find("b"));
  EXPECT_TRUE(cache.find("c"));
  EXPECT_EQ(cache.bytes(), 80);
}

TEST(mixture_cache, counts_a_replaced_mixture_once) {
  mixture_cache cache(100);
  cache.put("a", nullptr, 60);
  cache.put("a", nullptr, 70);
  EXPECT_EQ(cache.bytes(), 70);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(mixture_cache, does_not_keep_what_is_larger_than_all_of_it) {
  mixture_cache cache(100);
  cache.put("a", nullptr, 10);
  cache.put("huge", nullptr, 101);
  EXPECT_TRUE(cache.find("a"));
  EXPECT_FALSE(cache.find("huge"));
  cache.clear();
  EXPECT_FALSE(cache.find("a"));
  EXPECT_EQ(cache.bytes(), 0);
}

}  // namespace
}  // namespace t2
