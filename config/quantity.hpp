#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace t2 {

/// A unit's name and how many of the smallest unit it is.
struct quantity_unit {
  std::string_view name;
  std::int64_t factor = 1;
};

/// Reads a decimal number and a unit, as in `512MiB`, `1.5 s`: at most six
/// decimals, units without regard to case, a result that is not whole rounded
/// down. An empty name among `units` allows a number without a unit (then
/// without decimals); `0` needs none. Nothing on bad syntax, on an unknown
/// unit, or above 2^63 - 1.
std::optional<std::int64_t> parse_quantity(
    std::string_view text, std::span<const quantity_unit> units);

/// The shortest exact form: the largest of `units` (ascending) that divides
/// `value`, which is not negative. parse_quantity reads it back unchanged.
std::string print_quantity(std::int64_t value,
                           std::span<const quantity_unit> units);

}  // namespace t2
