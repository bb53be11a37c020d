#pragma once

#include <cstdint>
#include <initializer_list>

namespace t2 {

/// Evenly from [0, 1), by (seed, stream, index) alone: threads that draw in any
/// order draw the same. Any thread.
inline double seeded_draw(std::uint64_t seed, std::uint64_t stream,
                          std::uint64_t index) {
  // SplitMix64's finaliser, once for each part.
  std::uint64_t x = 0;
  for (const std::uint64_t part : {seed, stream, index}) {
    x = (x ^ part) + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
  }
  return static_cast<double>(x >> 11) * 0x1p-53;
}

}  // namespace t2
