#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace t2 {

/// `root` and all that descend from it, by /proc; without `root` where it is
/// gone. Those that fork meanwhile may be missed.
std::vector<pid_t> process_tree(pid_t root);

/// Bytes in memory of these together; what they share counts for each.
std::int64_t resident_bytes(const std::vector<pid_t>& processes);

}  // namespace t2
