#include "adaptation/paired_interval.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace t2 {

paired_interval interval_of(std::span<const double> differences) {
  if (differences.empty()) return {};
  constexpr std::size_t resamples = 10'000;
  const auto n = differences.size();
  const auto count = static_cast<double>(n);
  std::uint64_t state = 79;
  const auto below_n = [&] {
    state += 0x9e3779b97f4a7c15;
    auto x = state;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return static_cast<std::size_t>((x ^ (x >> 31)) % n);
  };
  std::vector<double> means(resamples);
  for (auto& mean : means) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += differences[below_n()];
    mean = sum / count;
  }
  std::ranges::sort(means);
  const double mean =
      std::accumulate(differences.begin(), differences.end(), 0.0) / count;
  return {mean, means[resamples / 40], means[resamples - 1 - resamples / 40]};
}

sample_mean mean_of(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  sample_mean out;
  if (values.empty()) return out;
  for (const double value : values) out.mean += value / n;
  double squares = 0;
  for (const double value : values)
    squares += (value - out.mean) * (value - out.mean);
  if (n > 1) out.standard_error = std::sqrt(squares / (n - 1) / n);
  return out;
}

}  // namespace t2
