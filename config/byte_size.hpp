#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

inline constexpr std::int64_t kibibyte = 1024;
inline constexpr std::int64_t mebibyte = 1024 * kibibyte;
inline constexpr std::int64_t gibibyte = 1024 * mebibyte;
inline constexpr std::int64_t tebibyte = 1024 * gibibyte;

/// Bytes from `512MiB`, `2GiB`, `1.5 GiB`, `10MB` (decimal) or a plain number
/// of bytes. ec::invalid_argument names what was expected and found.
result<std::int64_t> parse_byte_size(std::string_view text);

/// Exact, in the largest binary unit that divides it: `512MiB`, `1025`.
std::string print_byte_size(std::int64_t bytes);

/// For people, three digits: `1.34 GiB`, `812 B`.
std::string approximate_byte_size(std::int64_t bytes);

}  // namespace t2
