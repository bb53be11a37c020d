#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "adaptation/example.hpp"

namespace t2 {

/// Which items of a list ask the same, as prompt_hash (leak_guard.hpp) tells.
/// A prompt is evidence once, however many copies of it or answers to it there
/// are: what is held out goes with all its copies, and they count as one. A
/// plain value.
class prompt_groups {
 public:
  prompt_groups() = default;
  /// Of the items' prompts.
  explicit prompt_groups(std::span<const std::uint64_t> hashes);
  static prompt_groups of(std::span<const example> examples);

  std::size_t items() const { return group_of_.size(); }
  std::size_t size() const { return members_.size(); }  // different prompts
  /// Groups are numbered in the order in which they are first met.
  std::size_t group_of(std::size_t item) const { return group_of_[item]; }
  const std::vector<std::size_t>& members(std::size_t group) const {
    return members_[group];
  }
  /// What an item counts within its prompt: those of a group sum to 1.
  double share(std::size_t item) const;
  /// The mean of each group's items.
  std::vector<double> means(std::span<const double> of_items) const;

 private:
  std::vector<std::size_t> group_of_;               // of each item
  std::vector<std::vector<std::size_t>> members_;   // of each group, ascending
};

/// Which items are held out: a `fraction` of the prompts (rounded, at least one
/// where it is above 0), chosen by (seed, stream). All prompts may be.
std::vector<bool> hold_out(const prompt_groups& prompts, double fraction,
                           std::uint64_t seed, std::uint64_t stream);

}  // namespace t2
