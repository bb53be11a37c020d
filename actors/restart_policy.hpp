#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>

namespace t2 {

struct restart_limits {
  std::chrono::milliseconds first_delay{100};
  std::chrono::milliseconds longest_delay{10'000};
  double growth = 2;
  std::size_t failures = 5;                   // within…
  std::chrono::milliseconds window{60'000};  // …this, and it is given up
};

/// How long to wait before an actor that failed is started again, and when to
/// stop trying. Failures older than the window are forgotten. One thread.
class restart_policy {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit restart_policy(restart_limits limits) : limits_(limits) {}

  /// The delay before the next start; nothing: too many failures.
  std::optional<std::chrono::milliseconds> after_failure(time_point now);

 private:
  restart_limits limits_;
  std::deque<time_point> failures_;
};

}  // namespace t2
