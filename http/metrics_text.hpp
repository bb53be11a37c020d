#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace t2 {

/// Writes numbers in the text format of Prometheus (version 0.0.4).
class metrics_text {
 public:
  using labels = std::vector<std::pair<std::string_view, std::string_view>>;

  /// Begins a metric; `type` is counter, gauge or histogram.
  void family(std::string_view name, std::string_view type,
              std::string_view help);
  /// A value of the metric that was begun last.
  void sample(double value, const labels& of = {});
  /// A metric with one value.
  void single(std::string_view name, std::string_view type,
              std::string_view help, double value) {
    family(name, type, help);
    sample(value);
  }
  /// The metric begun last as a histogram: `counts[i]` are the observations of
  /// at most `bounds[i]` and more than the bound before, the last count those
  /// above; `sum` is that of all observations.
  void histogram(std::span<const double> bounds,
                 std::span<const std::uint64_t> counts,
                 double sum);

  const std::string& text() const { return text_; }

 private:
  void line(std::string_view suffix, const labels& of, double value);

  std::string text_;
  std::string name_;
};

/// Counts observations of seconds by their size. One thread at a time.
class latency_histogram {
 public:
  static constexpr std::array<double, 14> bounds{
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
      0.25,  0.5,    1,     2.5,  5,     10,   30};

  /// `count` observations of the same time.
  void add(double seconds, std::uint64_t count = 1);
  /// As the metric that was begun last.
  void write(metrics_text& out) const { out.histogram(bounds, counts_, sum_); }

 private:
  std::array<std::uint64_t, bounds.size() + 1> counts_{};
  double sum_ = 0;
};

}  // namespace t2
