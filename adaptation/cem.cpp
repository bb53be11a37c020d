#include "adaptation/cem.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace t2 {
namespace {

// Keeps a direction open in which the elite happens to agree.
constexpr double least_sigma = 1e-3;

// How much of the old sigma stays. Without it small elites close in too early:
// over 200 seeds on quadratics in 3 and 8 dimensions the worst miss of 10
// populations falls by one to three orders of magnitude with a half.
constexpr double kept_sigma = 0.5;

}  // namespace

cem::cem(const optimiser_options& options)
    : options_(options),
      random_(options.seed, options.stream),
      mean_(options.dimension, options.mean),
      sigma_(options.dimension, options.sigma) {}

std::vector<candidate> cem::ask(std::size_t n) {
  std::vector<candidate> out;
  out.reserve(n);
  const auto clamp = [this](double x) {
    return std::clamp(static_cast<float>(x), options_.low, options_.high);
  };
  for (std::size_t i = 0; i < n; ++i) {
    const bool centre = i == 0 && !elite_.empty();
    candidate point(options_.dimension);
    for (std::size_t j = 0; j < point.size(); ++j)
      point[j] = clamp(
          centre ? mean_[j] : mean_[j] + sigma_[j] * random_.normal());
    out.push_back(std::move(point));
  }
  return out;
}

void cem::tell(std::span<const candidate> candidates,
               std::span<const double> scores) {
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (scores[i] > -std::numeric_limits<double>::infinity())
      elite_.push_back({candidates[i], scores[i]});
  if (elite_.empty()) return;
  std::stable_sort(elite_.begin(), elite_.end(),
                   [](const scored& a, const scored& b) {
                     return a.score > b.score;
                   });
  const auto wanted = std::max<std::size_t>(
      2, static_cast<std::size_t>(std::ceil(
             options_.elite * static_cast<double>(options_.population))));
  if (elite_.size() > wanted) elite_.resize(wanted);
  const double n = static_cast<double>(elite_.size());
  for (std::size_t j = 0; j < options_.dimension; ++j) {
    double sum = 0, squares = 0;
    for (const scored& e : elite_) sum += double{e.point[j]};
    mean_[j] = sum / n;
    for (const scored& e : elite_)
      squares += (double{e.point[j]} - mean_[j]) *
                 (double{e.point[j]} - mean_[j]);
    sigma_[j] = std::max(least_sigma, kept_sigma * sigma_[j] +
                                          (1 - kept_sigma) *
                                              std::sqrt(squares / n));
  }
}

}  // namespace t2
