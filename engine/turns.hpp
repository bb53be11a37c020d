#pragma once

#include <algorithm>
#include <cstdint>

namespace t2 {

/// Whose turn it is: live steps, or a slice of background work. Background work
/// runs when nothing live waits, and else in slices of about 50 ms, each after
/// three times as long of live steps. Seconds are told; it has no clock.
class turns {
 public:
  bool is_backgrounds(bool live_waits, bool background_waits) const {
    return !live_waits ||
           (background_waits && live_ >= live_share * last_slice_);
  }
  void live_took(double seconds) { live_ += seconds; }
  void background_took(double seconds) {
    last_slice_ = seconds;
    live_ = 0;
  }

  /// Tokens of a slice that live rows wait for.
  std::int64_t slice_tokens() const {
    return std::max<std::int64_t>(
        16, static_cast<std::int64_t>(tokens_per_second_ * slice_seconds));
  }
  void slice_computed(std::int64_t tokens, double seconds) {
    if (seconds > 0)
      tokens_per_second_ = 0.5 * tokens_per_second_ +
                           0.5 * static_cast<double>(tokens) / seconds;
  }

 private:
  static constexpr double slice_seconds = 0.05;
  static constexpr double live_share = 3;

  double live_ = 0;        // since the last slice
  double last_slice_ = 0;  // its length
  double tokens_per_second_ = 2000;
};

}  // namespace t2
