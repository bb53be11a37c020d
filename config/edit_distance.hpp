#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace t2 {

/// The number of inserted, removed, changed or swapped neighbouring bytes that
/// lead from `a` to `b` (optimal string alignment). O(|a| |b|).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, the first of equals; empty only when there
/// is no candidate. Words longer than 256 bytes are cut before comparing.
std::string nearest(std::string_view word,
                    std::span<const std::string> candidates);

}  // namespace t2
