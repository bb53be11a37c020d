#include "actors/restart_policy.hpp"

#include <algorithm>
#include <cmath>

namespace t2 {

std::optional<std::chrono::milliseconds> restart_policy::after_failure(
    time_point now) {
  while (!failures_.empty() && now - failures_.front() > limits_.window) {
    failures_.pop_front();
  }
  failures_.push_back(now);
  if (failures_.size() >= limits_.failures) return std::nullopt;
  const double grown =
      static_cast<double>(limits_.first_delay.count()) *
      std::pow(limits_.growth, static_cast<double>(failures_.size() - 1));
  const double longest = static_cast<double>(limits_.longest_delay.count());
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(std::min(grown, longest)));
}

}  // namespace t2
