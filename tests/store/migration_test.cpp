#include <gtest/gtest.h>

#include <vector>

#include "store/row_check.hpp"
#include "store/row_digest.hpp"
#include "store/schema.hpp"
#include "store/store_failure.hpp"
#include "tests/store/store_folder.hpp"

namespace t2 {
namespace {

const std::int64_t next = store_migrations().back().version + 1;

const store_migration tags{
    .version = next,
    .sql =
        "ALTER TABLE tasks ADD COLUMN tag TEXT NOT NULL DEFAULT 'none';"
        "CREATE INDEX tasks_by_tag ON tasks(tag);"
        "UPDATE tasks SET tag = 'old'"};

std::vector<store_migration> with(const store_migration& another) {
  std::vector<store_migration> all(store_migrations().begin(),
                                   store_migrations().end());
  all.push_back(another);
  return all;
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
  EXPECT_EQ(db.integer("PRAGMA user_version"), next);
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
  const auto older = store_migrations();
  EXPECT_EQ(code_of(guarded([&] { verify_database(db, older); })),
            ec::incompatible);
}

TEST(migration, that_fails_halfway_leaves_the_older_store_whole) {
  store_folder folder;
  make_store(folder);
  {
    auto db =
        sqlite_database::open(folder.path(), sqlite_database::mode::read_write);
    const auto broken = with({.version = next,
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
  EXPECT_EQ(migrate(db, store_migrations()), ec::incompatible);
}

// A store as version 1 made it, with a row that its code wrote: the columns and
// the checksum of then.
TEST(migration, of_version_1_takes_its_tasks_as_raw) {
  store_folder folder;
  const auto first = store_migrations().first(1);
  const store_task task = sample_task("sums");
  row_digest digest("tasks");
  digest.add(task.name).add(task.base).add(task.description).add(task.reward);
  digest.add(task.options_json).add(std::int64_t{7}).add(std::int64_t{1});
  digest.add("a").add("1+1?").add("2").add("{}");
  must(write_file_durably(
      folder.path(), new_store_file(first, [&](sqlite_database& db) {
        const auto run = [&](const char* sql, auto... values) {
          db.prepare(sql).bind(values...).run();
        };
        run("INSERT INTO base_models(fingerprint, name, config_json, created, "
            "checksum) VALUES(?1, 'base', '{}', 7, ?2)",
            task.base,
            row_digest("base_models")
                .add(task.base)
                .add("base")
                .add("{}")
                .add(std::int64_t{7})
                .hex());
        run("INSERT INTO tasks(name, base, description, reward, options_json, "
            "created, checksum) VALUES(?1, ?2, ?3, ?4, ?5, 7, ?6)",
            task.name, task.base, task.description, task.reward,
            task.options_json, digest.hex());
        run("INSERT INTO examples(task_id, position, id, prompt, answer, "
            "extra_json) VALUES(1, 0, 'a', '1+1?', '2', '{}')");
      })));
  const auto untouched = folder.bytes();
  const auto reader = expert_store::open(folder.path(), {.read_only = true});
  EXPECT_EQ(code_of(reader), ec::incompatible);
  EXPECT_EQ(folder.bytes(), untouched);
  auto store = must(expert_store::open(folder.path(), at_time(9)));
  const store_task kept = must(store.get_task("sums"));
  EXPECT_EQ(kept.form, "raw");
  EXPECT_EQ(kept.created, 7);
  EXPECT_TRUE(must(store.check()).empty());
  store_task chat = sample_task("talks");
  chat.form = "chat";
  EXPECT_EQ(must(store.add_task(chat)).form, "chat");
  EXPECT_EQ(must(store.get_task("talks")).form, "chat");
}

TEST(migration, does_not_let_a_form_change_unseen) {
  for (const std::string form : {"raw", "chat"}) {
    store_folder folder;
    {
      auto store = must(expert_store::open(folder.path(), at_time(1)));
      must(store.put_base_model(sample_base()));
      store_task task = sample_task("sums");
      task.form = form;
      must(store.add_task(task));
    }
    {
      auto db = sqlite_database::open(folder.path(),
                                      sqlite_database::mode::read_write);
      db.execute(form == "raw" ? "UPDATE tasks SET form = 'chat'"
                               : "UPDATE tasks SET form = 'raw'");
    }
    auto store = must(expert_store::open(folder.path(), at_time(2)));
    EXPECT_EQ(code_of(store.get_task("sums")), ec::corrupt) << form;
  }
}

TEST(schema, knows_two_forms_of_a_task) {
  store_folder folder;
  auto store = must(expert_store::open(folder.path(), at_time(1)));
  must(store.put_base_model(sample_base()));
  store_task task = sample_task("sums");
  task.form = "loud";
  const auto refused = store.add_task(task);
  EXPECT_EQ(code_of(refused), ec::invalid_argument);
  EXPECT_NE(refused.error().message.find("raw or chat"), std::string::npos);
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
