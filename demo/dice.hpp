#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace t2::demo {

/// Random numbers that are the same on every machine, unlike <random>'s
/// distributions: SplitMix64 over up to four numbers that name the draw. A
/// value; one thread.
class dice {
 public:
  explicit dice(std::uint64_t seed, std::uint64_t a = 0, std::uint64_t b = 0,
                std::uint64_t c = 0)
      : state_(seed) {
    for (const std::uint64_t part : {a, b, c}) state_ = next() ^ part;
  }

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    auto x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  /// In [0, n), n > 0 and small: the bias is below n / 2^64.
  std::size_t below(std::size_t n) {
    return static_cast<std::size_t>(next() % n);
  }

  /// In [low, high].
  int between(int low, int high) {
    const auto count = static_cast<std::size_t>(high - low) + 1;
    return low + static_cast<int>(below(count));
  }

  /// True in `percent` of 100 cases.
  bool chance(std::size_t percent) { return below(100) < percent; }

  template <class T, std::size_t N>
  const T& of(const std::array<T, N>& values) {
    return values[below(N)];
  }

 private:
  std::uint64_t state_;
};

}  // namespace t2::demo
