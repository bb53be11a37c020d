// Slots of mixtures: one for each digest, kept while held, and then by bytes.
#include "engine/delta_table.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace t2 {
namespace {

struct delta_slots : testing::Test {
  delta_slots() {
    model_config config;
    config.layers = 1;
    config.heads = config.kv_heads = 2;
    config.head_dim = 4;
    config.hidden = 8;
    config.intermediate = 16;
    layout = std::make_shared<svf_layout>(config, svf_targets::mlp);
    each = 4 * layout->total();
  }
  delta_ref delta(float value) const {
    return *singular_delta::make(layout, at::full({layout->total()}, value));
  }

  std::shared_ptr<const svf_layout> layout;
  std::int64_t each = 0;
};

TEST_F(delta_slots, are_one_for_each_mixture) {
  delta_table table{10 * each};
  EXPECT_EQ(table.hold(nullptr), -1);
  EXPECT_EQ(table[-1], nullptr);
  const auto one = table.hold(delta(1)), two = table.hold(delta(2));
  EXPECT_NE(one, two);
  EXPECT_EQ(table.hold(delta(1)), one)
      << "the same numbers are the same mixture";
  EXPECT_EQ(table[two]->digest(), delta(2)->digest());
  EXPECT_EQ(table.bytes(), 2 * each);
}

TEST_F(delta_slots, go_when_bytes_are_short_and_nobody_holds_them) {
  delta_table table{2 * each};
  const auto one = table.hold(delta(1)), two = table.hold(delta(2)),
             three = table.hold(delta(3));
  EXPECT_EQ(table.bytes(), 3 * each) << "what is held stays";
  table.release(two);
  EXPECT_EQ(table.bytes(), 2 * each);
  EXPECT_EQ(table.find(delta(2)->digest()), nullptr);
  table.release(one);
  table.release(three);
  EXPECT_EQ(table.size(), 2) << "there is room for them";
  EXPECT_EQ(table.hold(delta(1)), one);
  table.release(one);  // used later than the third
  EXPECT_EQ(table.hold(delta(4)), two) << "a free number";
  EXPECT_EQ(table.find(delta(3)->digest()), nullptr);
  EXPECT_NE(table.find(delta(1)->digest()), nullptr);
}

TEST_F(delta_slots, count_their_holders) {
  delta_table table{0};
  const auto one = table.hold(delta(1));
  (void)table.hold(delta(1));
  table.release(one);
  EXPECT_EQ(table.size(), 1);
  table.release(one);
  EXPECT_EQ(table.size(), 0);
}

}  // namespace
}  // namespace t2
