#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "store/records.hpp"
#include "store/sqlite_database.hpp"

namespace t2 {

// Rows of adaptations (with the versions that they use) and evaluations. All
// throw store_failure; none begins a transaction.

std::optional<store_adaptation> find_adaptation_row(sqlite_database& db,
                                                    std::string_view key);
/// not_found where there is none.
store_adaptation load_adaptation(sqlite_database& db, std::int64_t id);
/// The used versions must exist. Returns the new id.
std::int64_t insert_adaptation(sqlite_database& db,
                               const store_adaptation& adaptation);
/// Replaces the row with this adaptation's id.
void update_adaptation(sqlite_database& db, const store_adaptation& adaptation);
/// The caller has detached its evaluations.
void delete_adaptation(sqlite_database& db, std::int64_t id);
/// In the order of their keys' first storing; of every task and of none without
/// `task_id`.
std::vector<std::int64_t> adaptation_ids(
    sqlite_database& db, const std::optional<std::int64_t>& task_id = {});

store_evaluation load_evaluation(sqlite_database& db, std::int64_t id);
std::int64_t insert_evaluation(sqlite_database& db,
                               const store_evaluation& evaluation);
/// Changes only what it refers to: its task and its adaptation.
void update_evaluation(sqlite_database& db, const store_evaluation& evaluation);
/// In order of creation.
std::vector<std::int64_t> evaluation_ids(sqlite_database& db);

}  // namespace t2
