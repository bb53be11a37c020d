#include "adaptation/regex_reward.hpp"

#include "text/pattern.hpp"

namespace t2 {
namespace {

error pattern_error(const example& e, const std::string& rest) {
  return {ec::invalid_argument, "example " + e.id + ": pattern: " + rest};
}

}  // namespace

result<double> regex_reward::of_text(std::string_view answer,
                                     const example& e) const {
  const auto found = pattern_found(e.pattern, answer);
  if (!found) return pattern_error(e, found.error().message);
  return *found ? 1 : -1;
}

result<void> regex_reward::check(const example& e) const {
  if (e.pattern.empty())
    return pattern_error(e, "expected one for the reward regex, found none");
  const auto found = pattern_found(e.pattern, e.answer);
  if (!found) return pattern_error(e, found.error().message);
  if (!*found)
    return pattern_error(e, "expected one that the answer passes, found '" +
                                e.pattern + "'");
  return {};
}

}  // namespace t2
