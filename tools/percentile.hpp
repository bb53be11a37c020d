#pragma once

#include <vector>

namespace t2 {

/// The least value that at least `fraction` of all values do not pass (nearest
/// rank); 0 without values.
double percentile(std::vector<double> values, double fraction);

/// The same of values in ascending order, without a copy.
double percentile_of_sorted(const std::vector<double>& values, double fraction);

}  // namespace t2
