#include "adaptation/cross_fit.hpp"

#include <algorithm>
#include <cmath>

#include "adaptation/paired_interval.hpp"
#include "adaptation/random_stream.hpp"

namespace t2 {
namespace {

// Apart from the streams of the optimisers, which count from 0.
constexpr std::uint64_t fold_stream = 0xf01d'0000'0000'0000u;

// Rewards are ±1 and means of few: equal up to rounding is equal.
constexpr double same_reward = 1e-9;

}  // namespace

bool search_record::open_to(std::size_t chain) const {
  return chains.empty() || std::ranges::find(chains, chain) != chains.end();
}

std::vector<std::vector<std::size_t>> make_folds(std::size_t n, std::size_t k,
                                                 std::uint64_t seed) {
  std::vector<std::vector<std::size_t>> folds(k);
  const auto order = random_stream{seed, fold_stream}.permutation(n);
  for (std::size_t i = 0; i < n; ++i) folds[i % k].push_back(order[i]);
  for (auto& fold : folds) std::sort(fold.begin(), fold.end());
  return folds;
}

std::vector<std::size_t> shots_outside(std::span<const std::size_t> fold,
                                       std::size_t n) {
  std::vector<std::size_t> rest;
  for (std::size_t i = 0; i < n; ++i)
    if (std::find(fold.begin(), fold.end(), i) == fold.end()) rest.push_back(i);
  return rest;
}

double mean_over(std::span<const double> values,
                 std::span<const std::size_t> shots) {
  double sum = 0;
  for (const std::size_t i : shots) sum += values[i];
  return sum / static_cast<double>(shots.size());
}

std::vector<std::size_t> contenders(std::span<const search_record> records,
                                    std::size_t chain,
                                    std::span<const std::size_t> shots,
                                    std::size_t count) {
  std::vector<std::size_t> found;
  std::vector<double> score(records.size());
  for (std::size_t r = 1; r < records.size(); ++r) {
    const search_record& record = records[r];
    if (record.control || record.likelihood.empty() || !record.open_to(chain))
      continue;
    score[r] = mean_over(record.likelihood, shots);
    if (std::isfinite(score[r])) found.push_back(r);
  }
  std::stable_sort(found.begin(), found.end(),
                   [&](std::size_t a, std::size_t b) {
                     return score[a] > score[b];
                   });
  // The same α drawn twice is one contender.
  std::vector<std::size_t> distinct;
  for (const std::size_t r : found) {
    if (distinct.size() == count) break;
    const auto same = [&](std::size_t other) {
      return records[other].alpha == records[r].alpha;
    };
    if (std::none_of(distinct.begin(), distinct.end(), same))
      distinct.push_back(r);
  }
  return distinct;
}

std::size_t winner(std::span<const search_record> records,
                   std::span<const std::size_t> among,
                   std::span<const std::size_t> shots, bool by_reward) {
  std::size_t best = 0;
  const auto reward = [&](std::size_t r) {
    return by_reward ? mean_over(records[r].rewards, shots) : 0.0;
  };
  for (const std::size_t r : among) {
    const double lead = reward(r) - reward(best);
    const bool likelier = mean_over(records[r].likelihood, shots) >
                          mean_over(records[best].likelihood, shots);
    if (lead > same_reward || (lead >= -same_reward && likelier)) best = r;
  }
  return best;
}

held_out_gain measure_held_out(
    std::span<const search_record> records,
    std::span<const std::vector<std::size_t>> folds,
    std::span<const std::size_t> winners, std::span<const std::size_t> against,
    bool by_reward) {
  held_out_gain out;
  std::vector<double> gains, rises;
  for (std::size_t f = 0; f < folds.size(); ++f)
    for (const std::size_t shot : folds[f]) {
      const search_record& found = records[winners[f]];
      const search_record& base = records[against[f]];
      gains.push_back(found.likelihood[shot] - base.likelihood[shot]);
      if (!by_reward) continue;
      out.reward += found.rewards[shot];
      out.base_reward += base.rewards[shot];
      rises.push_back(found.rewards[shot] - base.rewards[shot]);
    }
  const auto n = static_cast<double>(gains.size());
  const sample_mean gain = mean_of(gains);
  out.mean = gain.mean;
  out.standard_error = gain.standard_error;
  if (by_reward) {
    out.reward /= n;
    out.base_reward /= n;
    out.reward_standard_error = mean_of(rises).standard_error;
  } else {
    out.reward = out.mean;  // over the base's, which is then 0
    out.reward_standard_error = out.standard_error;
  }
  return out;
}

bool believed(const held_out_gain& gain, double standard_errors) {
  const auto convinces = [&](double mean, double error) {
    return mean > same_reward && mean > standard_errors * error + same_reward;
  };
  const double rise = gain.reward - gain.base_reward;
  return convinces(rise, gain.reward_standard_error) ||
         (convinces(gain.mean, gain.standard_error) && rise >= -same_reward);
}

}  // namespace t2
