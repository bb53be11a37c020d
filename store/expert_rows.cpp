#include "store/expert_rows.hpp"

#include "config/sha256.hpp"
#include "store/row_digest.hpp"
#include "store/store_failure.hpp"

namespace t2 {
namespace {

std::string checksum_of(const store_base_model& base) {
  return row_digest("base_models")
      .add(base.fingerprint)
      .add(base.name)
      .add(base.config_json)
      .add(base.created)
      .hex();
}

std::optional<std::int64_t> current_of(const store_expert& expert) {
  if (expert.current_version == 0) return {};
  return expert.current_version;
}

// Without the id: it is not known before the row is inserted, and the name
// identifies the expert.
std::string checksum_of(const expert_row& row) {
  return row_digest("experts")
      .add(row.record.name)
      .add(row.record.base)
      .add(row.record.description)
      .add(current_of(row.record))
      .add(row.next_version)
      .add(row.record.deleted)
      .add(row.record.created)
      .hex();
}

std::string checksum_of(const store_expert_version& version) {
  return row_digest("expert_versions")
      .add(version.expert_id)
      .add(version.version)
      .add(version.sha256)
      .add(version.z_bytes)
      .add(version.parent_version)
      .add(version.norm)
      .add(version.targets)
      .add(version.provenance_json)
      .add(version.created)
      .hex();
}

std::vector<std::string> all_texts(sqlite_database& db, std::string_view sql) {
  auto rows = db.prepare(sql);
  std::vector<std::string> texts;
  while (rows.step()) texts.push_back(rows.text(0));
  return texts;
}

}  // namespace

void verify_checksum(const sqlite_database& db, const std::string& what,
                     const std::string& expected, const std::string& found) {
  if (expected == found) return;
  fail(ec::corrupt, "store " + db.label() + ": " + what +
                        ": expected checksum " + found +
                        ", found content with " + expected);
}

std::optional<store_base_model> find_base_model(sqlite_database& db,
                                                std::string_view fingerprint) {
  auto row = db.prepare(
      "SELECT fingerprint, name, config_json, created, checksum "
      "FROM base_models WHERE fingerprint = ?1");
  if (!row.bind(fingerprint).step()) return {};
  store_base_model base{.fingerprint = row.text(0),
                        .name = row.text(1),
                        .config_json = row.text(2),
                        .created = row.integer(3)};
  verify_checksum(db, "base model '" + base.fingerprint + "'",
                  checksum_of(base), row.text(4));
  return base;
}

store_base_model load_base_model(sqlite_database& db,
                                 std::string_view fingerprint) {
  auto base = find_base_model(db, fingerprint);
  if (!base) {
    fail(ec::not_found, "store " + db.label() + ": no base model with " +
                            "fingerprint '" + std::string(fingerprint) + "'");
  }
  return *std::move(base);
}

void insert_base_model(sqlite_database& db, const store_base_model& base) {
  db.prepare(
        "INSERT INTO base_models(fingerprint, name, config_json, created, "
        "checksum) VALUES(?1, ?2, ?3, ?4, ?5)")
      .bind(base.fingerprint, base.name, base.config_json, base.created,
            checksum_of(base))
      .run();
}

void update_base_model(sqlite_database& db, const store_base_model& base) {
  db.prepare(
        "UPDATE base_models SET name = ?2, checksum = ?3 "
        "WHERE fingerprint = ?1")
      .bind(base.fingerprint, base.name, checksum_of(base))
      .run();
}

std::vector<std::string> base_model_fingerprints(sqlite_database& db) {
  return all_texts(db, "SELECT fingerprint FROM base_models ORDER BY id");
}

std::optional<expert_row> find_expert(sqlite_database& db,
                                      std::string_view name) {
  auto row = db.prepare(
      "SELECT id, name, base, description, coalesce(current_version, 0), "
      "deleted, created, next_version, checksum FROM experts WHERE name = ?1");
  if (!row.bind(name).step()) return {};
  expert_row expert{.record = {.id = row.integer(0),
                               .name = row.text(1),
                               .base = row.text(2),
                               .description = row.text(3),
                               .current_version = row.integer(4),
                               .deleted = row.boolean(5),
                               .created = row.integer(6)},
                    .next_version = row.integer(7)};
  verify_checksum(db, "expert '" + expert.record.name + "'",
                  checksum_of(expert), row.text(8));
  return expert;
}

expert_row load_expert(sqlite_database& db, std::string_view name,
                       bool with_removed) {
  auto expert = find_expert(db, name);
  if (!expert) {
    fail(ec::not_found,
         "store " + db.label() + ": no expert '" + std::string(name) + "'");
  }
  if (expert->record.deleted && !with_removed) {
    fail(ec::not_found, "store " + db.label() + ": expert '" +
                            std::string(name) + "' was removed");
  }
  return *std::move(expert);
}

std::int64_t insert_expert(sqlite_database& db, const expert_row& row) {
  db.prepare(
        "INSERT INTO experts(name, base, description, current_version, "
        "next_version, deleted, created, checksum) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
      .bind(row.record.name, row.record.base, row.record.description,
            current_of(row.record), row.next_version, row.record.deleted,
            row.record.created, checksum_of(row))
      .run();
  return sqlite3_last_insert_rowid(db.handle());
}

void update_expert(sqlite_database& db, const expert_row& row) {
  db.prepare(
        "UPDATE experts SET description = ?2, current_version = ?3, "
        "next_version = ?4, deleted = ?5, checksum = ?6 WHERE id = ?1")
      .bind(row.record.id, row.record.description, current_of(row.record),
            row.next_version, row.record.deleted, checksum_of(row))
      .run();
}

std::vector<std::string> expert_names(sqlite_database& db) {
  return all_texts(db, "SELECT name FROM experts ORDER BY name");
}

store_expert_version load_version(sqlite_database& db,
                                  const store_expert& expert,
                                  std::int64_t version, bool with_bytes) {
  auto row = db.prepare(
      "SELECT version, sha256, z_bytes, parent_version, norm, targets, "
      "provenance_json, created, checksum, CASE WHEN ?3 THEN z END "
      "FROM expert_versions WHERE expert_id = ?1 AND version = ?2");
  if (!row.bind(expert.id, version, with_bytes).step()) {
    fail(ec::not_found, "store " + db.label() + ": expert '" + expert.name +
                            "' has no version " + std::to_string(version));
  }
  store_expert_version loaded{.expert_id = expert.id,
                              .expert = expert.name,
                              .base = expert.base,
                              .version = row.integer(0),
                              .z_safetensors = row.blob(9),
                              .z_bytes = row.integer(2),
                              .sha256 = row.text(1),
                              .parent_version = row.integer(3),
                              .norm = row.text(4),
                              .targets = row.text(5),
                              .provenance_json = row.text(6),
                              .created = row.integer(7)};
  const std::string name = expert.name + "@" + std::to_string(version);
  verify_checksum(db, "expert version '" + name + "'", checksum_of(loaded),
                  row.text(8));
  if (with_bytes) {
    verify_checksum(db, "z of '" + name + "'", sha256_hex(loaded.z_safetensors),
                    loaded.sha256);
  }
  return loaded;
}

void insert_version(sqlite_database& db, const store_expert_version& version) {
  db.prepare(
        "INSERT INTO expert_versions(expert_id, version, sha256, z_bytes, "
        "parent_version, norm, targets, provenance_json, created, checksum, "
        "z) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")
      .bind(version.expert_id, version.version, version.sha256, version.z_bytes,
            version.parent_version, version.norm, version.targets,
            version.provenance_json, version.created, checksum_of(version),
            std::span<const std::byte>(version.z_safetensors))
      .run();
}

std::vector<std::int64_t> version_numbers(sqlite_database& db,
                                          std::int64_t expert_id) {
  auto rows = db.prepare(
      "SELECT version FROM expert_versions WHERE expert_id = ?1 "
      "ORDER BY version");
  rows.bind(expert_id);
  std::vector<std::int64_t> numbers;
  while (rows.step()) numbers.push_back(rows.integer(0));
  return numbers;
}

void delete_unused_versions(sqlite_database& db, std::int64_t expert_id) {
  db.prepare(
        "DELETE FROM expert_versions WHERE expert_id = ?1 AND NOT EXISTS("
        "SELECT 1 FROM adaptation_versions AS used "
        "WHERE used.expert_id = expert_versions.expert_id "
        "AND used.version = expert_versions.version)")
      .bind(expert_id)
      .run();
}

}  // namespace t2
