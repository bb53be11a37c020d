#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/store/naive_store.hpp"
#include "tests/store/power_cut_disk.hpp"
#include "tests/store/store_folder.hpp"

namespace rc {

template <>
struct Arbitrary<t2::store_operation> {
  static Gen<t2::store_operation> arbitrary() {
    using kind = t2::store_operation::kind;
    const auto kinds = gen::map(gen::inRange(0, static_cast<int>(kind::count_)),
                                [](int i) { return static_cast<kind>(i); });
    const auto number = gen::inRange(0u, 12u);
    return gen::build<t2::store_operation>(
        gen::set(&t2::store_operation::what, kinds),
        gen::set(&t2::store_operation::a, number),
        gen::set(&t2::store_operation::b, number),
        gen::set(&t2::store_operation::c, number),
        gen::set(&t2::store_operation::d, number));
  }
};

}  // namespace rc

namespace t2 {

void showValue(const store_operation& operation, std::ostream& out) {
  out << to_string(operation);
}

namespace {

RC_GTEST_PROP(store_model, answers_any_operations_as_a_naive_store_does,
              (std::vector<store_operation> drawn)) {
  store_folder folder;
  std::int64_t time = 0;
  // Syncs to a disk in memory: what is tested here is not the disk.
  power_cut_disk disk;
  const store_options options{.clock = [&] { return time; },
                              .vfs = disk.vfs_name()};
  auto store = must(expert_store::open(folder.path(), options));
  naive_store model;
  // A few that succeed go first, so that the drawn ones find something.
  auto operations = random_operations(*rc::gen::inRange(0u, 1000u), 12);
  operations.insert(operations.end(), drawn.begin(), drawn.end());
  for (const auto& operation : operations) {
    ++time;
    const ec expected = model.apply(operation, time, 10);
    RC_ASSERT(apply(store, operation, 10) == expected);
    if (time % 13 == 0) {
      {
        const expert_store closed = std::move(store);
      }
      store = must(expert_store::open(folder.path(), options));
    }
    RC_ASSERT(dump(store) == model.dump());
  }
  RC_ASSERT(must(store.check()).empty());
}

TEST(store_model, meets_every_outcome_in_the_workload_of_the_crash_tests) {
  std::map<std::pair<store_operation::kind, ec>, int> seen;
  naive_store model;
  for (const auto& operation : random_operations(21, 4000)) {
    ++seen[{operation.what, model.apply(operation, 1, 10)}];
  }
  using kind = store_operation::kind;
  for (int i = 0; i < static_cast<int>(kind::count_); ++i) {
    EXPECT_GT((seen[{static_cast<kind>(i), ec::none}]), 3) << i;
  }
  EXPECT_GT((seen[{kind::publish, ec::incompatible}]), 3);
  EXPECT_GT((seen[{kind::put_adaptation, ec::already_exists}]), 1);
}

}  // namespace
}  // namespace t2
