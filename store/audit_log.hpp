#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/records.hpp"
#include "store/sqlite_database.hpp"

namespace t2 {

/// Appends to the log, within the caller's transaction. Each entry's chain
/// hashes the one before it, so none can be changed or taken out unseen.
/// Throws store_failure.
void append_audit(sqlite_database& db, std::int64_t time,
                  std::string_view action, std::string_view subject,
                  std::string_view detail_json = "{}");

/// The detail of an entry: these members of a JSON object, and `by`, who asked
/// for the change (none where `caller` is empty: t2 itself).
std::string audit_detail(std::string members, std::string_view caller);

/// The last `last` entries, oldest first, each verified against its
/// predecessor. Throws store_failure: corrupt.
std::vector<audit_entry> read_audit(sqlite_database& db, std::int64_t last);

}  // namespace t2
