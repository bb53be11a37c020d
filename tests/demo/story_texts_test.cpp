#include "demo/story_texts.hpp"

#include <gtest/gtest.h>

#include <set>

namespace t2::demo {
namespace {

TEST(story_texts, splits_of_a_kind_share_no_document) {
  for (const auto k : {kind::dialogue, kind::list, kind::refrain, kind::call}) {
    std::set<std::string> seen;
    for (const auto s : {split::train, split::examples, split::held_out})
      for (const auto& text : documents(k, s, 300))
        EXPECT_TRUE(seen.insert(text).second) << text;
  }
}

TEST(story_texts, are_the_same_on_every_machine) {
  EXPECT_EQ(documents(kind::call, split::held_out, 3),
            documents(kind::call, split::held_out, 3));
  std::uint64_t hash = 0;
  for (const auto k : {kind::dialogue, kind::list, kind::refrain, kind::call})
    for (const auto& text : documents(k, split::train, 50))
      for (const char c : text)
        hash = hash * 1099511628211u + static_cast<unsigned char>(c);
  // The experts in assets/ were grown on these texts: when they change, grow
  // them again (tools/grow_demo_experts.sh) and note the new number here.
  EXPECT_EQ(hash, 14595740565166181052u);
}

}  // namespace
}  // namespace t2::demo
