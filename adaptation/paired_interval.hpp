#pragma once

#include <span>

namespace t2 {

/// A mean difference and its 95 % interval.
struct paired_interval {
  double mean = 0;
  double low = 0;
  double high = 0;
};

/// Interval of the mean of paired differences (adapted − base on the same
/// item): percentile bootstrap over items, 10,000 resamples, the same numbers
/// for the same input on every machine. No item: all zero.
paired_interval interval_of(std::span<const double> differences);

}  // namespace t2
