#include "adaptation/exact_reward.hpp"

namespace t2 {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n\v\f";
  const auto begin = text.find_first_not_of(space);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

result<double> exact_reward::of_text(std::string_view answer,
                                     const example& e) const {
  return trimmed(answer) == trimmed(e.answer) ? 1 : -1;
}

result<void> exact_reward::check(const example& e) const {
  if (trimmed(e.answer).empty())
    return error{ec::invalid_argument,
                 "example " + e.id + ": answer: expected text, found none"};
  return {};
}

}  // namespace t2
