#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"

namespace t2 {

using candidate = std::vector<float>;  // a point of the search space

/// A black-box maximiser: candidates out, scores in. The same seed and the
/// same scores give the same candidates on every machine. One thread.
class optimiser {
 public:
  virtual ~optimiser() = default;
  /// The next `n` candidates.
  virtual std::vector<candidate> ask(std::size_t n) = 0;
  /// What some candidates are worth (higher is better; −∞ for one that cannot
  /// be built). They need not come from ask().
  virtual void tell(std::span<const candidate> candidates,
                    std::span<const double> scores) = 0;
  /// False where tell() changes nothing of later candidates.
  virtual bool adaptive() const = 0;
};

struct optimiser_options {
  std::size_t dimension = 1;
  double mean = 1;          // start of every coordinate
  double sigma = 0.5;
  double elite = 0.2;       // fraction of a population
  std::size_t population = 32;
  float low = 0, high = 1;  // clamp
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;  // draws differ between streams of one seed
};

/// `cem` or `random`; ec::invalid_argument names both.
result<std::unique_ptr<optimiser>> make_optimiser(
    std::string_view name, const optimiser_options& options);

}  // namespace t2
