#include "store/adaptation_rows.hpp"

#include <string>

#include "store/expert_rows.hpp"
#include "store/row_digest.hpp"
#include "store/store_failure.hpp"

namespace t2 {
namespace {

std::string checksum_of(const store_adaptation& adaptation) {
  row_digest digest("adaptations");
  digest.add(adaptation.task_id)
      .add(adaptation.key)
      .add(adaptation.base)
      .add(adaptation.mixture_json)
      .add(adaptation.accepted)
      .add(adaptation.truncated)
      .add(adaptation.scores_json)
      .add(adaptation.cost_json)
      .add(adaptation.created)
      .add(static_cast<std::int64_t>(adaptation.used.size()));
  for (const store_version_ref& used : adaptation.used) {
    digest.add(used.expert).add(used.version);
  }
  return digest.hex();
}

std::string checksum_of(const store_evaluation& evaluation) {
  return row_digest("evaluations")
      .add(evaluation.task_id)
      .add(evaluation.adaptation_id)
      .add(evaluation.base)
      .add(evaluation.dataset)
      .add(evaluation.data_sha256)
      .add(evaluation.scores_json)
      .add(evaluation.cost_json)
      .add(evaluation.created)
      .hex();
}

std::vector<store_version_ref> load_used(sqlite_database& db,
                                         std::int64_t adaptation_id) {
  auto rows = db.prepare(
      "SELECT experts.name, used.version FROM adaptation_versions AS used "
      "JOIN experts ON experts.id = used.expert_id "
      "WHERE used.adaptation_id = ?1 ORDER BY used.position");
  rows.bind(adaptation_id);
  std::vector<store_version_ref> used;
  while (rows.step()) {
    used.push_back({.expert = rows.text(0), .version = rows.integer(1)});
  }
  return used;
}

void insert_used(sqlite_database& db, std::int64_t adaptation_id,
                 const std::vector<store_version_ref>& used) {
  std::int64_t position = 0;
  for (const store_version_ref& version : used) {
    const auto expert = load_expert(db, version.expert, true);
    db.prepare("INSERT INTO adaptation_versions VALUES(?1, ?2, ?3, ?4)")
        .bind(adaptation_id, position++, expert.record.id, version.version)
        .run();
  }
}

std::vector<std::int64_t> all_ids(sqlite_statement& rows) {
  std::vector<std::int64_t> ids;
  while (rows.step()) ids.push_back(rows.integer(0));
  return ids;
}

}  // namespace

store_adaptation load_adaptation(sqlite_database& db, std::int64_t id) {
  auto row = db.prepare(
      "SELECT id, task_id, key, base, mixture_json, accepted, truncated, "
      "scores_json, cost_json, created, checksum FROM adaptations "
      "WHERE id = ?1");
  if (!row.bind(id).step()) {
    fail(ec::not_found, "store " + db.label() + ": no adaptation with id " +
                            std::to_string(id));
  }
  store_adaptation adaptation{.id = id,
                              .task_id = row.optional_integer(1),
                              .key = row.text(2),
                              .base = row.text(3),
                              .mixture_json = row.text(4),
                              .accepted = row.boolean(5),
                              .truncated = row.boolean(6),
                              .scores_json = row.text(7),
                              .cost_json = row.text(8),
                              .used = load_used(db, id),
                              .created = row.integer(9)};
  verify_checksum(db, "adaptation '" + adaptation.key + "'",
                  checksum_of(adaptation), row.text(10));
  return adaptation;
}

std::optional<store_adaptation> find_adaptation_row(sqlite_database& db,
                                                    std::string_view key) {
  auto row = db.prepare("SELECT id FROM adaptations WHERE key = ?1");
  if (!row.bind(key).step()) return {};
  return load_adaptation(db, row.integer(0));
}

std::int64_t insert_adaptation(sqlite_database& db,
                               const store_adaptation& adaptation) {
  db.prepare(
        "INSERT INTO adaptations(task_id, key, base, mixture_json, accepted, "
        "truncated, scores_json, cost_json, created, checksum) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")
      .bind(adaptation.task_id, adaptation.key, adaptation.base,
            adaptation.mixture_json, adaptation.accepted, adaptation.truncated,
            adaptation.scores_json, adaptation.cost_json, adaptation.created,
            checksum_of(adaptation))
      .run();
  const std::int64_t id = sqlite3_last_insert_rowid(db.handle());
  insert_used(db, id, adaptation.used);
  return id;
}

void update_adaptation(sqlite_database& db,
                       const store_adaptation& adaptation) {
  db.prepare(
        "UPDATE adaptations SET task_id = ?2, base = ?3, mixture_json = ?4, "
        "accepted = ?5, truncated = ?6, scores_json = ?7, cost_json = ?8, "
        "created = ?9, checksum = ?10 WHERE id = ?1")
      .bind(adaptation.id, adaptation.task_id, adaptation.base,
            adaptation.mixture_json, adaptation.accepted, adaptation.truncated,
            adaptation.scores_json, adaptation.cost_json, adaptation.created,
            checksum_of(adaptation))
      .run();
  db.prepare("DELETE FROM adaptation_versions WHERE adaptation_id = ?1")
      .bind(adaptation.id)
      .run();
  insert_used(db, adaptation.id, adaptation.used);
}

void delete_adaptation(sqlite_database& db, std::int64_t id) {
  db.prepare("DELETE FROM adaptations WHERE id = ?1").bind(id).run();
}

std::vector<std::int64_t> adaptation_ids(
    sqlite_database& db, const std::optional<std::int64_t>& task_id) {
  auto rows = db.prepare(
      "SELECT id FROM adaptations WHERE ?1 IS NULL OR task_id = ?1 "
      "ORDER BY id");
  rows.bind(task_id);
  return all_ids(rows);
}

store_evaluation load_evaluation(sqlite_database& db, std::int64_t id) {
  auto row = db.prepare(
      "SELECT task_id, adaptation_id, base, dataset, data_sha256, "
      "scores_json, cost_json, created, checksum FROM evaluations "
      "WHERE id = ?1");
  if (!row.bind(id).step()) {
    fail(ec::not_found, "store " + db.label() + ": no evaluation with id " +
                            std::to_string(id));
  }
  store_evaluation evaluation{.id = id,
                              .task_id = row.optional_integer(0),
                              .adaptation_id = row.optional_integer(1),
                              .base = row.text(2),
                              .dataset = row.text(3),
                              .data_sha256 = row.text(4),
                              .scores_json = row.text(5),
                              .cost_json = row.text(6),
                              .created = row.integer(7)};
  verify_checksum(db, "evaluation " + std::to_string(id),
                  checksum_of(evaluation), row.text(8));
  return evaluation;
}

std::int64_t insert_evaluation(sqlite_database& db,
                               const store_evaluation& evaluation) {
  db.prepare(
        "INSERT INTO evaluations(task_id, adaptation_id, base, dataset, "
        "data_sha256, scores_json, cost_json, created, checksum) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
      .bind(evaluation.task_id, evaluation.adaptation_id, evaluation.base,
            evaluation.dataset, evaluation.data_sha256, evaluation.scores_json,
            evaluation.cost_json, evaluation.created, checksum_of(evaluation))
      .run();
  return sqlite3_last_insert_rowid(db.handle());
}

void update_evaluation(sqlite_database& db,
                       const store_evaluation& evaluation) {
  db.prepare(
        "UPDATE evaluations SET task_id = ?2, adaptation_id = ?3, "
        "checksum = ?4 WHERE id = ?1")
      .bind(evaluation.id, evaluation.task_id, evaluation.adaptation_id,
            checksum_of(evaluation))
      .run();
}

std::vector<std::int64_t> evaluation_ids(sqlite_database& db) {
  auto rows = db.prepare("SELECT id FROM evaluations ORDER BY id");
  return all_ids(rows);
}

}  // namespace t2
