#include "store/record_limits.hpp"

#include <algorithm>
#include <string>

namespace t2 {
namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

}  // namespace

result<void> check_name(std::string_view field, std::string_view name) {
  const bool sound =
      !name.empty() && name.size() <= record_limits::name &&
      is_letter_or_digit(name.front()) &&
      std::all_of(name.begin(), name.end(), [](char c) {
        return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
      });
  if (sound) return {};
  return error{ec::invalid_argument,
               std::string(field) + " '" + std::string(name.substr(0, 80)) +
                   "': expected 1 to 64 of a-z, 0-9, '.', '_', '-', a letter "
                   "or digit first"};
}

}  // namespace t2
