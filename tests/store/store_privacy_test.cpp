// Who may read a store's files, and whom its log names.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "store/expert_store.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

unsigned mode_of(const fs::path& file) {
  struct stat found {};
  return ::stat(file.c_str(), &found) == 0 ? found.st_mode & 0777u : 0u;
}

/// The process's umask while it lives.
struct umask_of {
  explicit umask_of(mode_t mask) : before(::umask(mask)) {}
  ~umask_of() { ::umask(before); }
  mode_t before;
};

class store_privacy : public testing::Test {
 protected:
  store_privacy() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~store_privacy() override { fs::remove_all(folder_); }

  result<expert_store> open(bool read_only = false) {
    return expert_store::open(folder_ / "s.db", {.read_only = read_only});
  }
  std::map<std::string, unsigned> modes() const {
    std::map<std::string, unsigned> all;
    for (const auto& file : fs::directory_iterator(folder_))
      all[file.path().filename()] = mode_of(file.path());
    return all;
  }

  fs::path folder_ =
      fs::temp_directory_path() /
      ("t2-privacy-" + std::to_string(::getpid()) + "-" +
       testing::UnitTest::GetInstance()->current_test_info()->name());
};

const store_base_model base{.fingerprint = std::string(64, 'f'), .name = "n",
                            .config_json = "{}"};

TEST_F(store_privacy, all_files_are_their_owners_alone_under_any_umask) {
  for (const mode_t mask : {0, 022, 077}) {
    const umask_of masked(mask);
    fs::remove(folder_ / "s.db");
    auto store = open();
    ASSERT_TRUE(store) << store.error().message;
    const auto put = store->put_base_model(base);
    ASSERT_TRUE(put) << put.error().message;
    const auto copy = folder_ / ("copy-" + std::to_string(mask) + ".db");
    ASSERT_TRUE(store->backup(copy));
    const auto all = modes();
    EXPECT_TRUE(all.contains("s.db-wal"));
    EXPECT_TRUE(all.contains("s.db.lock"));
    for (const auto& [name, mode] : all) EXPECT_EQ(mode, 0600u) << name;
  }
}

TEST_F(store_privacy, what_was_wider_is_narrowed_by_a_writer) {
  ASSERT_TRUE(open());
  for (const auto& file : fs::directory_iterator(folder_))
    ASSERT_EQ(::chmod(file.path().c_str(), 0664), 0);
  ASSERT_TRUE(open(true));
  EXPECT_EQ(mode_of(folder_ / "s.db"), 0664u) << "a reader changes nothing";
  const auto store = open();
  ASSERT_TRUE(store);
  for (const auto& [name, mode] : modes()) EXPECT_EQ(mode, 0600u) << name;
}

TEST_F(store_privacy, the_log_names_whoever_asked_for_a_change) {
  auto store = open();
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->put_base_model(base));
  const auto add = [&](const std::string& name) {
    store_task task;
    task.name = name;
    task.base = base.fingerprint;
    task.reward = "exact";
    task.examples.push_back({.id = "a", .prompt = "p", .answer = "b"});
    const auto added = store->add_task(task);
    ASSERT_TRUE(added) << added.error().message;
  };
  store->act_for("alice");
  add("one");
  store->act_for("socket");
  add("two");
  store->act_for("");
  ASSERT_TRUE(store->remove_task("one"));
  const auto log = store->audit(4);
  ASSERT_TRUE(log);
  EXPECT_EQ((*log)[0].detail_json, "{}");
  EXPECT_EQ((*log)[1].detail_json, R"({"by":"alice"})");
  EXPECT_EQ((*log)[2].detail_json, R"({"by":"socket"})");
  EXPECT_EQ((*log)[3].detail_json, "{}");
  const auto problems = store->check();
  ASSERT_TRUE(problems);
  EXPECT_TRUE(problems->empty());
}

}  // namespace
}  // namespace t2
