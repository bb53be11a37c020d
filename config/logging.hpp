#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"

namespace t2 {

enum class log_level { trace, debug, info, warn, error, off };

/// In the order of the enumeration: `trace` ... `off`.
std::vector<std::string> log_level_names();

/// Starts the process's log: lines `2025-01-31T12:00:00.123 level message` of
/// at least `level` (a name of log_level_names()), appended to `file`, or on
/// standard error where it is empty. ec::invalid_argument or ec::io. Call once
/// in `main`, before threads; until then warnings and errors go to standard
/// error.
result<void> start_logging(std::string_view level, const std::string& file);

/// Writes one line from any thread; control characters are escaped, so a
/// message never makes a second line.
void log(log_level level, std::string_view message);

/// Whether such a line would be written, where making it costs something.
bool log_enabled(log_level level);

}  // namespace t2
