#include "config/edit_distance.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace t2 {
namespace {

/// Every way to align, without a table: the definition itself.
std::size_t by_recursion(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.size() + b.size();
  std::size_t best =
      std::min(by_recursion(a.substr(1), b), by_recursion(a, b.substr(1))) + 1;
  best = std::min(
      best, by_recursion(a.substr(1), b.substr(1)) + (a[0] == b[0] ? 0 : 1));
  if (a.size() > 1 && b.size() > 1 && a[0] == b[1] && a[1] == b[0]) {
    best = std::min(best, by_recursion(a.substr(2), b.substr(2)) + 1);
  }
  return best;
}

TEST(edit_distance, equals_the_recursive_definition) {
  std::mt19937 random(3);
  const auto word = [&] {
    std::string text(random() % 6, ' ');
    for (char& c : text) c = static_cast<char>('a' + random() % 3);
    return text;
  };
  for (int i = 0; i < 1'000; ++i) {
    const auto a = word();
    const auto b = word();
    ASSERT_EQ(edit_distance(a, b), by_recursion(a, b)) << a << " " << b;
  }
}

TEST(edit_distance, finds_the_nearest_word) {
  const std::vector<std::string> words{"kv_bytes", "threads", "dense_bytes"};
  EXPECT_EQ(nearest("kv_byte", words), "kv_bytes");
  EXPECT_EQ(nearest("thraeds", words), "threads");
  EXPECT_EQ(nearest("densebytes", words), "dense_bytes");
  EXPECT_EQ(nearest("anything", {}), "");
}

TEST(edit_distance, a_huge_word_costs_little) {
  const std::vector<std::string> words{"kv_bytes"};
  EXPECT_EQ(nearest(std::string(50'000'000, 'x'), words), "kv_bytes");
}

}  // namespace
}  // namespace t2
