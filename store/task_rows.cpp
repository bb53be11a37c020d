#include "store/task_rows.hpp"

#include "store/expert_rows.hpp"
#include "store/row_digest.hpp"
#include "store/store_failure.hpp"

namespace t2 {
namespace {

std::string checksum_of(const store_task& task) {
  row_digest digest("tasks");
  digest.add(task.name)
      .add(task.base)
      .add(task.description)
      .add(task.reward)
      .add(task.options_json)
      .add(task.created)
      .add(static_cast<std::int64_t>(task.examples.size()));
  for (const store_example& example : task.examples) {
    digest.add(example.id)
        .add(example.prompt)
        .add(example.answer)
        .add(example.extra_json);
  }
  // Rows of schema 1 know no form, and are raw.
  if (task.form != "raw") digest.add(task.form);
  return digest.hex();
}

std::vector<store_example> load_examples(sqlite_database& db,
                                         std::int64_t task_id) {
  auto rows = db.prepare(
      "SELECT id, prompt, answer, extra_json FROM examples "
      "WHERE task_id = ?1 ORDER BY position");
  rows.bind(task_id);
  std::vector<store_example> examples;
  while (rows.step()) {
    examples.push_back({.id = rows.text(0),
                        .prompt = rows.text(1),
                        .answer = rows.text(2),
                        .extra_json = rows.text(3)});
  }
  return examples;
}

std::optional<store_task> read_task(sqlite_database& db,
                                    sqlite_statement& row) {
  if (!row.step()) return {};
  store_task task{.id = row.integer(0),
                  .name = row.text(1),
                  .base = row.text(2),
                  .description = row.text(3),
                  .reward = row.text(4),
                  .form = row.text(8),
                  .options_json = row.text(5),
                  .examples = load_examples(db, row.integer(0)),
                  .created = row.integer(6)};
  verify_checksum(db, "task '" + task.name + "'", checksum_of(task),
                  row.text(7));
  return task;
}

store_task found_or_fail(const sqlite_database& db,
                         std::optional<store_task> task,
                         const std::string& what) {
  if (!task) fail(ec::not_found, "store " + db.label() + ": no task " + what);
  return *std::move(task);
}

}  // namespace

std::optional<store_task> find_task(sqlite_database& db,
                                    std::string_view name) {
  auto row = db.prepare(
      "SELECT id, name, base, description, reward, options_json, created, "
      "checksum, form FROM tasks WHERE name = ?1");
  row.bind(name);
  return read_task(db, row);
}

store_task load_task(sqlite_database& db, std::string_view name) {
  return found_or_fail(db, find_task(db, name), "'" + std::string(name) + "'");
}

store_task load_task(sqlite_database& db, std::int64_t id) {
  auto row = db.prepare(
      "SELECT id, name, base, description, reward, options_json, created, "
      "checksum, form FROM tasks WHERE id = ?1");
  row.bind(id);
  return found_or_fail(db, read_task(db, row), "with id " + std::to_string(id));
}

std::int64_t insert_task(sqlite_database& db, const store_task& task) {
  db.prepare(
        "INSERT INTO tasks(name, base, description, reward, options_json, "
        "created, checksum, form) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
      .bind(task.name, task.base, task.description, task.reward,
            task.options_json, task.created, checksum_of(task), task.form)
      .run();
  const std::int64_t id = sqlite3_last_insert_rowid(db.handle());
  std::int64_t position = 0;
  for (const store_example& example : task.examples) {
    db.prepare(
          "INSERT INTO examples(task_id, position, id, prompt, answer, "
          "extra_json) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")
        .bind(id, position++, example.id, example.prompt, example.answer,
              example.extra_json)
        .run();
  }
  return id;
}

void delete_task(sqlite_database& db, std::int64_t id) {
  db.prepare("DELETE FROM tasks WHERE id = ?1").bind(id).run();
}

std::vector<std::string> task_names(sqlite_database& db) {
  auto rows = db.prepare("SELECT name FROM tasks ORDER BY name");
  std::vector<std::string> names;
  while (rows.step()) names.push_back(rows.text(0));
  return names;
}

}  // namespace t2
