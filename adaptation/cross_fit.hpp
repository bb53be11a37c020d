#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "adaptation/optimiser.hpp"

namespace t2 {

/// A candidate and what it scored. A shot here is a prompt, counted from 0: of
/// its copies and its other answers, the mean (prompt_groups.hpp).
struct search_record {
  candidate alpha;  // empty: the base
  // The chains that may choose it: no score of a shot that one of them leaves
  // out had a part in it. Empty: all.
  std::vector<std::size_t> chains{};
  // The delta of α in another order (expert_pool::control_of): nobody chooses
  // it, what it gains is what the experts' knowledge had no part in.
  bool control = false;
  std::vector<double> likelihood{};  // of each shot; empty: not scored
  std::vector<double> rewards{};     // of each shot; empty: not measured

  bool open_to(std::size_t chain) const;
};

/// Splits n shots into k folds of as equal sizes as can be, by seed.
std::vector<std::vector<std::size_t>> make_folds(std::size_t n, std::size_t k,
                                                 std::uint64_t seed);

/// The shots that are in none of `fold`, ascending.
std::vector<std::size_t> shots_outside(std::span<const std::size_t> fold,
                                       std::size_t n);

double mean_over(std::span<const double> values,
                 std::span<const std::size_t> shots);

/// Of the base (records[0]) and the records that `chain` may choose: the
/// `count` likeliest on `shots`, likeliest first (earlier wins ties), without
/// the base.
std::vector<std::size_t> contenders(std::span<const search_record> records,
                                    std::size_t chain,
                                    std::span<const std::size_t> shots,
                                    std::size_t count);

/// The winner on `shots` among the base and those contenders: highest mean
/// reward, ties by mean likelihood, then the base. Without rewards (the reward
/// is the likelihood) by likelihood alone.
std::size_t winner(std::span<const search_record> records,
                   std::span<const std::size_t> among,
                   std::span<const std::size_t> shots, bool by_reward);

/// What the winners of the folds gained on the shots that they had not seen,
/// over the base or another record for each.
struct held_out_gain {
  double mean = 0;  // of log-likelihood, over shots
  double standard_error = 0;
  double reward = 0, base_reward = 0;  // mean over shots
  double reward_standard_error = 0;    // of their difference
};

/// `winners[f]` and `against[f]` met `folds[f]`.
held_out_gain measure_held_out(
    std::span<const search_record> records,
    std::span<const std::vector<std::size_t>> folds,
    std::span<const std::size_t> winners, std::span<const std::size_t> against,
    bool by_reward);

/// Whether such a gain is believed: in reward, or in likelihood at no cost in
/// reward; above 0 and above `standard_errors` of its own.
bool believed(const held_out_gain& gain, double standard_errors);

}  // namespace t2
