#include "adaptation/logprob_reward.hpp"

#include <limits>

namespace t2 {

result<double> logprob_reward::of_text(std::string_view, const example&) const {
  return std::numeric_limits<double>::quiet_NaN();
}

double logprob_reward::of_likelihoods(std::span<const double> means,
                                      const example&) const {
  return means.front();
}

result<void> logprob_reward::check(const example& e) const {
  if (e.answer.empty())
    return error{ec::invalid_argument,
                 "example " + e.id + ": answer: expected text, found none"};
  return {};
}

}  // namespace t2
