#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// Time from `30s`, `500ms`, `5m`, `1.5h` or `2d`. A unit is required (but
/// for `0`). ec::invalid_argument names what was expected and found.
result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Exact, in the largest unit that divides it: `5m`, `90s`, `1500ms`.
std::string print_duration(std::chrono::milliseconds time);

/// For people: `83 ms`, `4.2 s`, `3m 07s`, `2h 05m`.
std::string approximate_duration(std::chrono::duration<double> time);

}  // namespace t2
