#include "actors/text_pool.hpp"

#include <gtest/gtest.h>

#include <future>
#include <string>

namespace t2 {
namespace {

/// One thread, held until the test lets go.
class pool_of_one : public testing::Test {
 protected:
  pool_of_one() {
    std::promise<void> begun;
    auto has_begun = begun.get_future();
    pool.read(0, 0, [&begun, held = gate.get_future().share()] {
      begun.set_value();
      held.wait();
    });
    has_begun.wait();
  }
  auto writes(char name) {
    return [this, name] { order += name; };
  }

  std::promise<void> gate;
  std::string order;
  text_pool pool{1};
};

TEST_F(pool_of_one, takes_turns_between_flows) {
  pool.read(1, 7, writes('a'));
  pool.read(2, 7, writes('b'));
  pool.read(3, 7, writes('c'));
  pool.read(4, 8, writes('x'));
  pool.read(5, 9, writes('y'));
  gate.set_value();
  pool.wait();
  EXPECT_EQ(order, "axybc");
}

TEST_F(pool_of_one, does_not_begin_what_was_cancelled) {
  pool.read(1, 7, writes('a'));
  pool.read(2, 7, writes('b'));
  pool.read(3, 8, writes('x'));
  pool.cancel(1);
  pool.cancel(3);
  pool.cancel(99);
  gate.set_value();
  pool.wait();
  EXPECT_EQ(order, "b");
}

TEST_F(pool_of_one, drops_what_waits_when_it_goes) {
  pool.read(1, 7, writes('a'));
  pool.clear();
  gate.set_value();
  pool.wait();
  EXPECT_EQ(order, "");
}

}  // namespace
}  // namespace t2
