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
/// for the same input on every machine. Items have to be independent: copies
/// of a prompt are one (prompt_groups::means). No item: all zero.
paired_interval interval_of(std::span<const double> differences);

/// A mean and the standard error of it (0 of fewer than two values).
struct sample_mean {
  double mean = 0;
  double standard_error = 0;
};
sample_mean mean_of(std::span<const double> values);

}  // namespace t2
