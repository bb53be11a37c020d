#include <gtest/gtest.h>

#include <array>

#include "store/row_check.hpp"
#include "store/schema.hpp"
#include "store/store_failure.hpp"
#include "tests/store/store_folder.hpp"

namespace t2 {
namespace {

constexpr store_migration tags{
    .version = 2,
    .sql =
        "ALTER TABLE tasks ADD COLUMN tag TEXT NOT NULL DEFAULT 'none';"
        "CREATE INDEX tasks_by_tag ON tasks(tag);"
        "UPDATE tasks SET tag = 'old'"};

std::array<store_migration, 2> with(store_migration second) {
  return {store_migrations().front(), second};
}

ec migrate(sqlite_database& db, std::span<const store_migration> migrations) {
  const auto migrated = guarded([&] {
    sqlite_transaction transaction(db);
    apply_migrations(db, migrations);
    transaction.commit();
  });
  return code_of(migrated);
}

void make_store(const store_folder& folder) {
  auto store = must(expert_store::open(folder.path(), at_time(1)));
  must(store.put_base_model(sample_base()));
  must(store.add_task(sample_task("sums")));
}

TEST(migration, keeps_the_rows_of_an_older_schema) {
  store_folder folder;
  make_store(folder);
  const auto migrations = with(tags);
  auto db =
      sqlite_database::open(folder.path(), sqlite_database::mode::read_write);
  ASSERT_EQ(migrate(db, migrations), ec::none);
  EXPECT_EQ(db.integer("PRAGMA user_version"), 2);
  EXPECT_EQ(db.text("SELECT tag FROM tasks WHERE name = 'sums'"), "old");
  EXPECT_TRUE(must(guarded([&] { return find_problems(db); })).empty());
  EXPECT_TRUE(guarded([&] { verify_database(db, migrations); }));
  // A second time there is nothing to do.
  ASSERT_EQ(migrate(db, migrations), ec::none);
  EXPECT_EQ(db.integer("SELECT count(*) FROM tasks"), 1);
}

TEST(migration, gives_an_old_and_a_new_store_the_same_tables) {
  store_folder folder;
  const auto migrations = with(tags);
  const auto fresh = folder.folder() / "fresh.db";
  must(write_file_durably(fresh, new_store_file(migrations, [](auto&) {})));
  auto db = sqlite_database::open(fresh, sqlite_database::mode::immutable);
  EXPECT_TRUE(guarded([&] { verify_database(db, migrations); }));
  const auto older = store_migrations().first(1);
  EXPECT_EQ(code_of(guarded([&] { verify_database(db, older); })),
            ec::incompatible);
}

TEST(migration, that_fails_halfway_leaves_the_older_store_whole) {
  store_folder folder;
  make_store(folder);
  {
    auto db =
        sqlite_database::open(folder.path(), sqlite_database::mode::read_write);
    const auto broken = with({.version = 2,
                              .sql = "ALTER TABLE tasks ADD COLUMN tag TEXT;"
                                     "DELETE FROM examples;"
                                     "INSERT INTO nowhere VALUES(1)"});
    EXPECT_EQ(migrate(db, broken), ec::internal);
  }
  auto store = must(expert_store::open(folder.path(), at_time(2)));
  EXPECT_EQ(must(store.get_task("sums")).examples.size(), 2u);
  EXPECT_TRUE(must(store.check()).empty());
}

TEST(migration, does_not_go_back) {
  store_folder folder;
  make_store(folder);
  auto db =
      sqlite_database::open(folder.path(), sqlite_database::mode::read_write);
  ASSERT_EQ(migrate(db, with(tags)), ec::none);
  EXPECT_EQ(migrate(db, store_migrations().first(1)), ec::incompatible);
}

TEST(schema, lets_nobody_rewrite_versions_or_the_log) {
  store_folder folder;
  {
    auto store = must(expert_store::open(folder.path(), at_time(1)));
    must(store.put_base_model(sample_base()));
    must(store.publish("coder", key_of("base"), sample_version("z")));
  }
  auto db =
      sqlite_database::open(folder.path(), sqlite_database::mode::read_write);
  db.execute("PRAGMA foreign_keys=ON");
  for (const char* sql :
       {"UPDATE expert_versions SET norm = 'none'",
        "UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log",
        "DELETE FROM expert_versions", "DELETE FROM base_models",
        "UPDATE experts SET current_version = 9, next_version = 10"}) {
    EXPECT_FALSE(guarded([&] { db.execute(sql); })) << sql;
  }
}

}  // namespace
}  // namespace t2
