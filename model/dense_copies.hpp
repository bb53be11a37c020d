#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/linear_weight.hpp"

namespace t2 {

/// Dense W' of hot mixtures: for each one weight per svf_linear of the
/// transformer (undefined where the mixture does not adapt it). Least recently
/// used first out, under a budget of bytes. One thread.
class dense_copies {
 public:
  using weights = std::vector<linear_weight>;

  explicit dense_copies(std::int64_t budget_bytes) : budget_(budget_bytes) {}

  /// Null if the mixture has no copy; counts as a use.
  std::shared_ptr<const weights> find(const std::string& digest);
  bool fits(std::int64_t bytes) const { return bytes <= budget_; }
  std::shared_ptr<const weights> put(const std::string& digest, weights copy);

  /// Ski rental: a mixture has earned its copy when what its rows have paid
  /// without one reaches the copy's price. Adds seconds to what mixture
  /// `digest` has paid and returns the sum.
  double charge(const std::string& digest, double seconds);

  std::int64_t bytes() const { return bytes_; }
  std::uint64_t builds() const { return builds_; }

 private:
  struct entry {
    std::string digest;
    std::shared_ptr<const weights> copy;
    std::int64_t bytes = 0;
  };
  std::int64_t budget_;
  std::int64_t bytes_ = 0;
  std::uint64_t builds_ = 0;
  std::list<entry> entries_;  // most recently used first
  std::unordered_map<std::string, std::list<entry>::iterator> index_;
  std::unordered_map<std::string, double> charged_;
};

}  // namespace t2
