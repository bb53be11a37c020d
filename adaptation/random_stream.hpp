#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace t2 {

/// Random numbers that are the same on every machine (the distributions of
/// <random> are not): SplitMix64 over (seed, stream). A value; one thread.
class random_stream {
 public:
  explicit random_stream(std::uint64_t seed, std::uint64_t stream = 0);

  std::uint64_t next();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Standard normal (the inverse of its distribution function).
  double normal();
  /// Uniform in [0, n), without bias; n > 0.
  std::uint64_t below(std::uint64_t n);
  /// A permutation of 0 .. n-1.
  std::vector<std::size_t> permutation(std::size_t n);

 private:
  std::uint64_t state_;
};

}  // namespace t2
