#pragma once

#include <string>
#include <vector>

#include "store/sqlite_database.hpp"

namespace t2 {

/// Reads everything in a database whose schema is this build's and verifies
/// it: pages, references, each row's checksum, each z's, the audit log's
/// chain. One line a problem. Throws store_failure only where it cannot read
/// on.
std::vector<std::string> find_problems(sqlite_database& db);

}  // namespace t2
