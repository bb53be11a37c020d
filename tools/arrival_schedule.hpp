#pragma once

#include <cmath>
#include <cstdint>

#include "tools/seeded_draw.hpp"

namespace t2 {

/// When requests arrive that know nothing of each other: a Poisson process,
/// the same for the same seed. One thread.
class arrival_schedule {
 public:
  /// `rate`: requests a second, more than 0.
  arrival_schedule(double rate, std::uint64_t seed)
      : rate_(rate), seed_(seed) {}

  /// Seconds from the start to the next arrival; never falls.
  double next() {
    time_ -= std::log1p(-seeded_draw(seed_, stream, count_++)) / rate_;
    return time_;
  }

 private:
  static constexpr std::uint64_t stream = 1;

  double rate_;
  std::uint64_t seed_;
  std::uint64_t count_ = 0;
  double time_ = 0;
};

}  // namespace t2
