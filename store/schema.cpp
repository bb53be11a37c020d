#include "store/schema.hpp"

#include <array>
#include <cstring>
#include <string_view>

#include "store/store_failure.hpp"

namespace t2 {
namespace {

// docs/store-schema.md describes the tables. `checksum` covers the other
// columns of its row (store/row_digest.hpp), and so lets a flipped bit in a
// page's content be seen, which SQLite itself does not.
constexpr const char* version_1 = R"sql(
CREATE TABLE base_models(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  fingerprint TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  config_json TEXT NOT NULL CHECK(json_valid(config_json)),
  created INTEGER NOT NULL,
  checksum TEXT NOT NULL
) STRICT;

CREATE TABLE experts(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  base TEXT NOT NULL REFERENCES base_models(fingerprint),
  description TEXT NOT NULL,
  current_version INTEGER,
  next_version INTEGER NOT NULL CHECK(next_version >= 1),
  deleted INTEGER NOT NULL CHECK(deleted IN (0, 1)),
  created INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  CHECK((current_version IS NULL) = (deleted = 1)),
  CHECK(current_version IS NULL OR current_version < next_version),
  FOREIGN KEY(id, current_version)
    REFERENCES expert_versions(expert_id, version)
    DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE INDEX experts_by_base ON experts(base);

CREATE TABLE expert_versions(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  expert_id INTEGER NOT NULL REFERENCES experts(id),
  version INTEGER NOT NULL CHECK(version >= 1),
  sha256 TEXT NOT NULL CHECK(length(sha256) = 64),
  z_bytes INTEGER NOT NULL,
  parent_version INTEGER NOT NULL
    CHECK(parent_version >= 0 AND parent_version < version),
  norm TEXT NOT NULL CHECK(norm IN ('none', 'nuclear')),
  targets TEXT NOT NULL,
  provenance_json TEXT NOT NULL CHECK(json_valid(provenance_json)),
  created INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  z BLOB NOT NULL CHECK(length(z) = z_bytes),
  UNIQUE(expert_id, version)
) STRICT;
CREATE TRIGGER expert_versions_are_immutable BEFORE UPDATE ON expert_versions
BEGIN SELECT RAISE(ABORT, 'an expert version never changes'); END;

CREATE TABLE tasks(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  base TEXT NOT NULL REFERENCES base_models(fingerprint),
  description TEXT NOT NULL,
  reward TEXT NOT NULL,
  options_json TEXT NOT NULL CHECK(json_valid(options_json)),
  created INTEGER NOT NULL,
  checksum TEXT NOT NULL
) STRICT;
CREATE INDEX tasks_by_base ON tasks(base);

CREATE TABLE examples(
  task_id INTEGER NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
  position INTEGER NOT NULL CHECK(position >= 0),
  id TEXT NOT NULL,
  prompt TEXT NOT NULL,
  answer TEXT NOT NULL,
  extra_json TEXT NOT NULL CHECK(json_valid(extra_json)),
  PRIMARY KEY(task_id, position),
  UNIQUE(task_id, id)
) STRICT;

CREATE TABLE adaptations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id INTEGER REFERENCES tasks(id),
  key TEXT NOT NULL UNIQUE CHECK(length(key) = 64),
  base TEXT NOT NULL REFERENCES base_models(fingerprint),
  mixture_json TEXT NOT NULL CHECK(json_valid(mixture_json)),
  accepted INTEGER NOT NULL CHECK(accepted IN (0, 1)),
  truncated INTEGER NOT NULL CHECK(truncated IN (0, 1)),
  scores_json TEXT NOT NULL CHECK(json_valid(scores_json)),
  cost_json TEXT NOT NULL CHECK(json_valid(cost_json)),
  created INTEGER NOT NULL,
  checksum TEXT NOT NULL
) STRICT;
CREATE INDEX adaptations_by_task ON adaptations(task_id);
CREATE INDEX adaptations_by_base ON adaptations(base);

CREATE TABLE adaptation_versions(
  adaptation_id INTEGER NOT NULL REFERENCES adaptations(id) ON DELETE CASCADE,
  position INTEGER NOT NULL CHECK(position >= 0),
  expert_id INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY(adaptation_id, position),
  FOREIGN KEY(expert_id, version)
    REFERENCES expert_versions(expert_id, version)
) STRICT;
CREATE INDEX adaptation_versions_by_version
  ON adaptation_versions(expert_id, version);

CREATE TABLE evaluations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id INTEGER REFERENCES tasks(id),
  adaptation_id INTEGER REFERENCES adaptations(id),
  base TEXT NOT NULL REFERENCES base_models(fingerprint),
  dataset TEXT NOT NULL,
  data_sha256 TEXT NOT NULL CHECK(length(data_sha256) = 64),
  scores_json TEXT NOT NULL CHECK(json_valid(scores_json)),
  cost_json TEXT NOT NULL CHECK(json_valid(cost_json)),
  created INTEGER NOT NULL,
  checksum TEXT NOT NULL
) STRICT;
CREATE INDEX evaluations_by_task ON evaluations(task_id);
CREATE INDEX evaluations_by_adaptation ON evaluations(adaptation_id);
CREATE INDEX evaluations_by_base ON evaluations(base);

CREATE TABLE audit_log(
  sequence INTEGER PRIMARY KEY CHECK(sequence >= 1),
  time INTEGER NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail_json TEXT NOT NULL CHECK(json_valid(detail_json)),
  chain TEXT NOT NULL CHECK(length(chain) = 64)
) STRICT;
CREATE TRIGGER audit_log_is_not_rewritten BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_is_not_cut BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
)sql";

// How a task's bare prompts are asked. Those of version 1 were asked raw.
constexpr const char* version_2 = R"sql(
ALTER TABLE tasks ADD COLUMN form TEXT NOT NULL DEFAULT 'raw'
  CHECK(form IN ('raw', 'chat'));
)sql";

constexpr std::array migrations_of_this_build = {
    store_migration{.version = 1, .sql = version_1},
    store_migration{.version = 2, .sql = version_2}};

struct schema_object {
  std::string type, name, table, sql;
  friend bool operator==(const schema_object&, const schema_object&) = default;
};

std::vector<schema_object> schema_objects(sqlite_database& db) {
  auto rows = db.prepare(
      "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema "
      "ORDER BY type, name");
  std::vector<schema_object> objects;
  while (rows.step()) {
    objects.push_back({.type = rows.text(0),
                       .name = rows.text(1),
                       .table = rows.text(2),
                       .sql = rows.text(3)});
  }
  return objects;
}

std::int64_t newest(std::span<const store_migration> migrations) {
  return migrations.back().version;
}

void verify_version(std::int64_t found, const std::string& label,
                    std::span<const store_migration> migrations) {
  if (found <= newest(migrations)) return;
  fail(ec::incompatible, "store " + label + ": expected schema version " +
                             std::to_string(newest(migrations)) +
                             " or older, found " + std::to_string(found) +
                             ": it was written by a newer t2");
}

void verify_application(std::int64_t found, const std::string& label) {
  if (found == store_application_id) return;
  fail(ec::incompatible,
       "store " + label + ": expected a t2 store (application id " +
           std::to_string(store_application_id) + "), found a database of " +
           "another program (" + std::to_string(found) + ")");
}

std::int64_t big_endian_32(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (const std::byte b : bytes.subspan(at, 4)) {
    value = value << 8 | std::to_integer<std::uint32_t>(b);
  }
  return static_cast<std::int32_t>(value);
}

void verify_pages(sqlite_database& db) {
  auto findings = db.prepare("PRAGMA integrity_check(1)");
  if (!findings.step()) fail(ec::corrupt, "store " + db.label() + ": no pages");
  const std::string finding = findings.text(0);
  if (finding != "ok") {
    fail(ec::corrupt,
         "store " + db.label() + ": expected sound pages, found: " + finding);
  }
}

}  // namespace

std::span<const store_migration> store_migrations() {
  return migrations_of_this_build;
}

std::int64_t apply_migrations(sqlite_database& db,
                              std::span<const store_migration> migrations) {
  const std::int64_t before = db.integer("PRAGMA user_version");
  verify_version(before, db.label(), migrations);
  for (const store_migration& migration : migrations) {
    if (migration.version <= before) continue;
    db.execute(migration.sql);
    const std::string mark =
        "PRAGMA user_version=" + std::to_string(migration.version);
    db.execute(mark.c_str());
  }
  return before;
}

void verify_database(sqlite_database& db,
                     std::span<const store_migration> migrations) {
  verify_application(db.integer("PRAGMA application_id"), db.label());
  const std::int64_t version = db.integer("PRAGMA user_version");
  verify_version(version, db.label(), migrations);
  if (version < 1) {
    fail(ec::corrupt, "store " + db.label() +
                          ": expected a schema version from 1 on, found " +
                          std::to_string(version));
  }
  auto made = sqlite_database::in_memory();
  apply_migrations(made, migrations.first(static_cast<std::size_t>(version)));
  if (schema_objects(db) != schema_objects(made)) {
    fail(ec::corrupt, "store " + db.label() +
                          ": expected the tables of schema version " +
                          std::to_string(version) + ", found others");
  }
  // Only now: it runs the CHECKs that the file's own schema declares.
  verify_pages(db);
}

std::vector<std::byte> new_store_file(
    std::span<const store_migration> migrations,
    const std::function<void(sqlite_database&)>& fill) {
  auto db = sqlite_database::in_memory();
  const std::string mark =
      "PRAGMA application_id=" + std::to_string(store_application_id);
  db.execute(mark.c_str());
  apply_migrations(db, migrations);
  fill(db);
  auto bytes = db.serialize();
  // File format: bytes 18 and 19 say 2 where the journal is a write-ahead log.
  bytes[18] = bytes[19] = std::byte{2};
  return bytes;
}

void verify_header(std::span<const std::byte> header, const std::string& label,
                   std::span<const store_migration> migrations) {
  constexpr std::string_view magic("SQLite format 3\0", 16);
  if (header.size() < 100 ||
      std::memcmp(header.data(), magic.data(), magic.size()) != 0) {
    fail(ec::incompatible, "store " + label +
                               ": expected a t2 store, found a file that is "
                               "not an SQLite database");
  }
  verify_application(big_endian_32(header, 68), label);
  verify_version(big_endian_32(header, 60), label, migrations);
}

}  // namespace t2
