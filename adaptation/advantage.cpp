#include "adaptation/advantage.hpp"

#include <algorithm>
#include <numeric>
#include <string>

namespace t2 {

std::string_view to_string(advantage_kind kind) {
  switch (kind) {
    case advantage_kind::none: return "none";
    case advantage_kind::batch_mean: return "batch-mean";
    case advantage_kind::leave_one_out: break;
  }
  return "leave-one-out";
}

result<advantage_kind> parse_advantage(std::string_view text) {
  for (const auto kind : {advantage_kind::none, advantage_kind::batch_mean,
                          advantage_kind::leave_one_out})
    if (text == to_string(kind)) return kind;
  return error{ec::invalid_argument,
               "advantage: expected none, batch-mean or leave-one-out, "
               "found '" +
                   std::string{text} + "'"};
}

std::vector<double> advantages(std::span<const double> rewards,
                               std::size_t samples, advantage_kind kind) {
  std::vector<double> out(rewards.begin(), rewards.end());
  const auto group = kind == advantage_kind::leave_one_out && samples > 1
                         ? samples
                         : rewards.size();
  if (kind == advantage_kind::none) return out;
  for (std::size_t begin = 0; begin < rewards.size(); begin += group) {
    const auto of = rewards.subspan(
        begin, std::min(group, rewards.size() - begin));
    const double sum = std::accumulate(of.begin(), of.end(), 0.0);
    const auto count = static_cast<double>(of.size());
    for (std::size_t i = 0; i < of.size(); ++i)
      if (kind == advantage_kind::batch_mean)
        out[begin + i] = of[i] - sum / count;
      else if (of.size() > 1)
        out[begin + i] = of[i] - (sum - of[i]) / (count - 1);
  }
  return out;
}

}  // namespace t2
