#pragma once

#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// Whether a pattern is found anywhere in a text, in time linear in both: the
/// syntax of Rust's `regex` (Perl's without look-around and back-references;
/// Unicode; `(?i)`, `(?s)`, `(?m)`). Bytes that are no UTF-8 count as U+FFFD.
/// ec::invalid_argument: it is no pattern, or compiles to more than 4 MiB.
result<bool> pattern_found(std::string_view pattern, std::string_view text);

}  // namespace t2
