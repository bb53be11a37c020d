#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "store/sqlite_database.hpp"

namespace t2 {

/// SQLite's application_id of a store: "t2st".
inline constexpr std::int64_t store_application_id = 0x74327374;

/// The SQL that leads from schema `version - 1` to `version`.
struct store_migration {
  std::int64_t version = 0;
  const char* sql = nullptr;
};

/// All migrations of this build, version 1 first. An entry never changes once
/// released: stores in the field were made by it.
std::span<const store_migration> store_migrations();

/// Brings `db` to the last of `migrations` and returns the version that it
/// had. Within the caller's transaction: after a failure nothing has changed.
/// Throws store_failure: incompatible when `db` is newer than all of them.
std::int64_t apply_migrations(sqlite_database& db,
                              std::span<const store_migration> migrations);

/// Refuses a database that is not a sound store of a version that
/// `migrations` lead to: application_id, user_version, pages and indexes,
/// and every table, index and trigger as the migrations make them. Writes
/// nothing. Throws store_failure: incompatible or corrupt.
void verify_database(sqlite_database& db,
                     std::span<const store_migration> migrations);

/// The bytes of a new store's file, in the form of a database whose journal
/// is a write-ahead log. `fill` may write first rows.
std::vector<std::byte> new_store_file(
    std::span<const store_migration> migrations,
    const std::function<void(sqlite_database&)>& fill);

/// Refuses, by its first bytes alone, what is no store or a newer one.
/// `header`: at least the first 100 bytes of the file, or all of a shorter one.
void verify_header(std::span<const std::byte> header, const std::string& label,
                   std::span<const store_migration> migrations);

}  // namespace t2
