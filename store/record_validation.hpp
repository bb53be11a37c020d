#pragma once

#include "store/records.hpp"
#include "store/sqlite_database.hpp"

namespace t2 {

// What a record must be before it is written: within record_limits, text in
// UTF-8, valid JSON where it says so. Each throws store_failure with
// invalid_argument that names the field. `db` parses the JSON.

void require_valid(sqlite_database& db, const store_base_model& base);
void require_valid(sqlite_database& db, const store_expert_version& version);
void require_valid(sqlite_database& db, const store_task& task);
void require_valid(sqlite_database& db, const store_adaptation& adaptation);
void require_valid(sqlite_database& db, const store_evaluation& evaluation);
/// An expert's.
void require_valid_description(std::string_view description);

}  // namespace t2
