#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <random>

#include "store/sqlite_database.hpp"
#include "tests/store/naive_store.hpp"
#include "tests/store/power_cut_disk.hpp"
#include "tests/store/store_folder.hpp"

namespace t2 {
namespace {

using loss = power_cut_disk::loss;

struct workload {
  std::vector<store_operation> operations;
  std::size_t z_bytes = 0;
  std::size_t reopen_every = 0;  // operations; closing folds the log in

  // The store after 0, 1, 2, ... operations.
  std::vector<std::string> states() const {
    naive_store model;
    std::vector<std::string> states{model.dump()};
    for (std::size_t i = 0; i < operations.size(); ++i) {
      model.apply(operations[i], static_cast<std::int64_t>(i), z_bytes);
      states.push_back(model.dump());
    }
    return states;
  }
};

bool is_fault(ec code) {
  return code == ec::io || code == ec::exhausted;
}

// Runs the workload on `disk` until the power goes. Returns how many
// operations were answered.
std::size_t run(const workload& work, const store_folder& folder,
                power_cut_disk& disk) {
  std::size_t done = 0;
  const store_options options{
      .clock = [&] { return static_cast<std::int64_t>(done); },
      .vfs = disk.vfs_name()};
  std::optional<expert_store> store;
  for (; done < work.operations.size() && disk.powered(); ++done) {
    if (done % work.reopen_every == 0) store.reset();
    if (!store) {
      auto opened = expert_store::open(folder.path(), options);
      if (!opened) {
        EXPECT_FALSE(disk.powered()) << opened.error().message;
        return done;
      }
      store = *std::move(opened);
    }
    if (is_fault(apply(*store, work.operations[done], work.z_bytes))) {
      EXPECT_FALSE(disk.powered());
      return done;
    }
  }
  return done;
}

// The state that a reopened store is in must be that of `done` operations, or
// of one more.
void expect_state(expert_store& store, const std::vector<std::string>& states,
                  std::size_t done) {
  EXPECT_EQ(must(store.check()), std::vector<std::string>());
  const std::string held = dump(store);
  if (done + 1 < states.size() && held == states[done + 1]) return;
  EXPECT_EQ(held, states[done]);
}

class power_cut : public testing::Test {
 protected:
  power_cut() {
    // An empty store: its creation does not go through SQLite's VFS, and a
    // kill test covers it.
    must(expert_store::open(folder_.path(), at_time(0)));
    empty_ = folder_.bytes();
  }

  void start_over() {
    std::filesystem::remove(folder_.folder() / "store.db-wal");
    std::ofstream(folder_.path(), std::ios::binary) << empty_;
  }

  // The number of changes that the disk sees in an undisturbed run.
  std::int64_t changes(const workload& work) {
    start_over();
    power_cut_disk disk;
    EXPECT_EQ(run(work, folder_, disk), work.operations.size());
    return disk.count();
  }

  // Cuts the power at that change, and once more while the store recovers.
  void cut_and_verify(const workload& work,
                      const std::vector<std::string>& states, std::int64_t at,
                      loss what) {
    SCOPED_TRACE("cut at change " + std::to_string(at) + ", loss " +
                 std::to_string(static_cast<int>(what)));
    start_over();
    std::size_t done = 0;
    {
      power_cut_disk disk;
      disk.cut_power_at(at);
      done = run(work, folder_, disk);
      disk.cut_power();
      disk.power_on(what, random_);
    }
    {
      power_cut_disk disk;
      disk.cut_power_at(1 + static_cast<std::int64_t>(random_() % 4));
      auto store = expert_store::open(folder_.path(), {.vfs = disk.vfs_name()});
      if (store) expect_state(*store, states, done);
      { const auto closed = std::move(store); }
      disk.cut_power();
      disk.power_on(what, random_);
    }
    power_cut_disk disk;
    auto store =
        must(expert_store::open(folder_.path(), {.vfs = disk.vfs_name()}));
    expect_state(store, states, done);
    // And it goes on.
    must(store.put_base_model(sample_base("after the cut")));
  }

  store_folder folder_;
  std::string empty_;
  std::mt19937 random_{17};
};

TEST_F(power_cut, at_any_change_loses_no_acknowledged_write) {
  const workload work{.operations = random_operations(31, 14),
                      .z_bytes = 5000,
                      .reopen_every = 5};
  const auto states = work.states();
  const auto all = changes(work);
  ASSERT_GT(all, 100);
  for (std::int64_t at = 1; at <= all; ++at) {
    cut_and_verify(work, states, at, loss::some);
    cut_and_verify(work, states, at,
                   at % 3 == 0 ? loss::nothing : loss::everything);
    if (HasFailure()) return;
  }
}

TEST_F(power_cut, while_the_log_is_folded_in_loses_no_acknowledged_write) {
  // Enough bytes that SQLite checkpoints by itself, and the log starts again.
  workload work{.operations = random_operations(32, 40),
                .z_bytes = 350'000,
                .reopen_every = 1000};
  for (auto& operation : work.operations) {
    if (operation.what != store_operation::kind::put_base) {
      operation.what = store_operation::kind::publish;
      operation.b = operation.d = 0;
    }
  }
  const auto states = work.states();
  const auto all = changes(work);
  ASSERT_GT(all, 5000);
  for (int round = 0; round < 25; ++round) {
    const auto at = 1 + static_cast<std::int64_t>(random_()) % all;
    cut_and_verify(work, states, at, loss::some);
    if (HasFailure()) return;
  }
}

// A fault of the disk that passes: the operation answers with an error and
// has not happened, the others go on.
TEST_F(power_cut, after_a_passing_fault_loses_no_acknowledged_write) {
  const workload work{.operations = random_operations(33, 14),
                      .z_bytes = 9000,
                      .reopen_every = 1000};
  const auto all = changes(work);
  int failed = 0;
  for (std::int64_t at = 1; at <= all; ++at) {
    for (const int fault : {SQLITE_IOERR_FSYNC, SQLITE_FULL}) {
      SCOPED_TRACE("fault at change " + std::to_string(at));
      start_over();
      power_cut_disk disk;
      disk.fail_at(at, fault);
      std::int64_t time = 0;
      const store_options options{.clock = [&] { return time; },
                                  .vfs = disk.vfs_name()};
      auto store = expert_store::open(folder_.path(), options);
      if (!store) {
        ++failed;
        EXPECT_TRUE(is_fault(store.error().code)) << store.error().message;
        continue;
      }
      naive_store model;
      for (const auto& operation : work.operations) {
        ++time;
        naive_store next = model;
        const ec expected = next.apply(operation, time, work.z_bytes);
        const ec found = apply(*store, operation, work.z_bytes);
        if (is_fault(found)) {
          ++failed;
        } else {
          ASSERT_EQ(found, expected) << to_string(operation);
          model = next;
        }
        ASSERT_EQ(dump(*store), model.dump());
      }
      disk.cut_power();
      { const auto closed = std::move(store); }
      disk.power_on(loss::everything, random_);
      power_cut_disk later;
      auto after =
          must(expert_store::open(folder_.path(), {.vfs = later.vfs_name()}));
      ASSERT_EQ(must(after.check()), std::vector<std::string>());
      ASSERT_EQ(dump(after), model.dump());
    }
  }
  EXPECT_GT(failed, 60);
}

TEST_F(power_cut, full_disk_is_an_error_that_says_so_and_loses_nothing) {
  start_over();
  power_cut_disk disk;
  std::int64_t time = 1;
  const store_options options{.clock = [&] { return time; },
                              .vfs = disk.vfs_name()};
  auto store = must(expert_store::open(folder_.path(), options));
  must(store.put_base_model(sample_base()));
  must(store.publish("coder", key_of("base"), sample_version("small")));
  disk.set_capacity(300'000);
  const std::string before = dump(store);
  const auto refused = store.publish("coder", key_of("base"),
                                     sample_version(std::string(400'000, 'z')));
  ASSERT_EQ(code_of(refused), ec::exhausted);
  EXPECT_NE(refused.error().message.find("full"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(dump(store), before);
  // What fits is still taken, and all that was asked for once there is room.
  must(store.publish("coder", key_of("base"), sample_version("smaller")));
  disk.set_capacity(1 << 30);
  must(store.publish("coder", key_of("base"),
                     sample_version(std::string(400'000, 'z'))));
  EXPECT_EQ(must(store.history("coder")).size(), 3u);
  EXPECT_TRUE(must(store.check()).empty());
}

// The disk itself must be able to lose things, or the tests above show
// nothing.
TEST_F(power_cut, of_a_program_that_does_not_sync_does_lose_writes) {
  power_cut_disk disk;
  const auto path = folder_.folder() / "careless.db";
  {
    auto db = sqlite_database::open(path, sqlite_database::mode::create);
    db.execute("CREATE TABLE t(a)");
  }
  {
    auto db = sqlite_database::open(path, sqlite_database::mode::read_write,
                                    disk.vfs_name());
    db.execute("PRAGMA synchronous=OFF; INSERT INTO t VALUES(1)");
    EXPECT_EQ(db.integer("SELECT count(*) FROM t"), 1);
  }
  disk.cut_power();
  disk.power_on(loss::everything, random_);
  auto db = sqlite_database::open(path, sqlite_database::mode::read_write);
  EXPECT_EQ(db.integer("SELECT count(*) FROM t"), 0);
}

}  // namespace
}  // namespace t2
