#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/records.hpp"
#include "store/sqlite_database.hpp"

namespace t2 {

// Rows of tasks and examples. A task's checksum covers its examples, so a
// lost example is seen. All throw store_failure; none begins a transaction.

std::optional<store_task> find_task(sqlite_database& db, std::string_view name);
/// As above; not_found where there is none.
store_task load_task(sqlite_database& db, std::string_view name);
store_task load_task(sqlite_database& db, std::int64_t id);
/// Returns the new id.
std::int64_t insert_task(sqlite_database& db, const store_task& task);
/// With its examples.
void delete_task(sqlite_database& db, std::int64_t id);
std::vector<std::string> task_names(sqlite_database& db);

}  // namespace t2
