#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/records.hpp"
#include "store/sqlite_database.hpp"

namespace t2 {

// Rows of base_models, experts and expert_versions. What is read is verified
// against its checksum. All throw store_failure; none begins a transaction.

/// Throws corrupt, naming `what`, unless a row's checksum is what it was.
void verify_checksum(const sqlite_database& db, const std::string& what,
                     const std::string& expected, const std::string& found);

std::optional<store_base_model> find_base_model(sqlite_database& db,
                                                std::string_view fingerprint);
/// As above; not_found where there is none.
store_base_model load_base_model(sqlite_database& db,
                                 std::string_view fingerprint);
void insert_base_model(sqlite_database& db, const store_base_model& base);
void update_base_model(sqlite_database& db, const store_base_model& base);
std::vector<std::string> base_model_fingerprints(sqlite_database& db);

struct expert_row {
  store_expert record{};
  std::int64_t next_version = 1;  // the number that the next version gets
};

std::optional<expert_row> find_expert(sqlite_database& db,
                                      std::string_view name);
/// As above; not_found where there is none or, unless `with_removed`, it was
/// removed.
expert_row load_expert(sqlite_database& db, std::string_view name,
                       bool with_removed = false);
/// Returns the new id.
std::int64_t insert_expert(sqlite_database& db, const expert_row& row);
void update_expert(sqlite_database& db, const expert_row& row);
std::vector<std::string> expert_names(sqlite_database& db);

/// not_found where there is none. With its bytes the z is verified against
/// its sha256.
store_expert_version load_version(sqlite_database& db,
                                  const store_expert& expert,
                                  std::int64_t version, bool with_bytes);
void insert_version(sqlite_database& db, const store_expert_version& version);
/// Ascending.
std::vector<std::int64_t> version_numbers(sqlite_database& db,
                                          std::int64_t expert_id);
/// Deletes the versions that no adaptation uses.
void delete_unused_versions(sqlite_database& db, std::int64_t expert_id);

}  // namespace t2
