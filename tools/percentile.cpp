#include "tools/percentile.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace t2 {

double percentile_of_sorted(const std::vector<double>& values,
                            double fraction) {
  if (values.empty()) return 0;
  const double rank = std::ceil(fraction * static_cast<double>(values.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return values[std::min(index, values.size() - 1)];
}

double percentile(std::vector<double> values, double fraction) {
  std::ranges::sort(values);
  return percentile_of_sorted(values, fraction);
}

}  // namespace t2
