#include "adaptation/numeric_reward.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace t2 {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool three_digits(std::string_view text, std::size_t at) {
  return at + 3 <= text.size() && digit(text[at]) && digit(text[at + 1]) &&
         digit(text[at + 2]) &&
         (at + 3 == text.size() || !digit(text[at + 3]));
}

struct number {
  double value = 0;
  std::size_t begin = 0, end = 0;
};

// The unsigned number at `at`, which is a digit or a point before one.
number unsigned_number(std::string_view text, std::size_t at) {
  std::string digits;
  std::size_t i = at;
  while (i < text.size() && digit(text[i])) digits += text[i++];
  if (!digits.empty() && digits.size() <= 3)
    while (i < text.size() && text[i] == ',' && three_digits(text, i + 1)) {
      digits += text.substr(i + 1, 3);
      i += 4;
    }
  if (i + 1 < text.size() && text[i] == '.' && digit(text[i + 1])) {
    if (digits.empty()) digits = "0";
    digits += text[i++];
    while (i < text.size() && digit(text[i])) digits += text[i++];
  }
  if (i + 1 < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    std::size_t exponent = i + 1;
    if (text[exponent] == '+' || text[exponent] == '-') ++exponent;
    if (exponent < text.size() && digit(text[exponent])) {
      digits += 'e';
      if (text[i + 1] == '-') digits += '-';
      for (i = exponent; i < text.size() && digit(text[i]); ++i)
        digits += text[i];
    }
  }
  number found{.value = 0, .begin = at, .end = i};
  const auto read = std::from_chars(digits.data(),
                                    digits.data() + digits.size(), found.value);
  if (read.ec != std::errc{}) found.value = HUGE_VAL;
  return found;
}

// Where a number that starts at `at` has its sign, if it has one: "-3", "-$3",
// "− 3" is none, "5-3" is none. Both the hyphen and U+2212 count.
bool negative_before(std::string_view text, std::size_t at) {
  if (at > 0 && text[at - 1] == '$') --at;
  if (at > 0 && text[at - 1] == '\\') --at;  // "\$"
  std::size_t sign = at;
  if (at >= 1 && text[at - 1] == '-')
    sign = at - 1;
  else if (at >= 3 && text.substr(at - 3, 3) == "\xe2\x88\x92")
    sign = at - 3;
  else
    return false;
  if (sign == 0) return true;
  const char before = text[sign - 1];
  return !digit(before) && !letter(before) && before != ')';
}

bool starts_number(std::string_view text, std::size_t i) {
  if (i > 0 && letter(text[i - 1])) return false;  // x1, v2
  if (digit(text[i])) return true;
  return text[i] == '.' && i + 1 < text.size() && digit(text[i + 1]) &&
         (i == 0 || !digit(text[i - 1]));
}

// The last number of the text; "a/b" is one.
std::optional<double> last_number(std::string_view text) {
  std::optional<double> last;
  for (std::size_t i = 0; i < text.size();) {
    if (!starts_number(text, i)) {
      // Skips the digits of a word such as x12 in one go.
      if (digit(text[i]))
        while (i < text.size() && digit(text[i])) ++i;
      else
        ++i;
      continue;
    }
    const number top = unsigned_number(text, i);
    const double sign = negative_before(text, i) ? -1 : 1;
    last = sign * top.value;
    i = top.end;
    if (i + 1 < text.size() && text[i] == '/' && starts_number(text, i + 1)) {
      const number bottom = unsigned_number(text, i + 1);
      i = bottom.end;
      const bool date = i < text.size() && text[i] == '/';
      if (!date && bottom.value != 0) last = *last / bottom.value;
      else last = bottom.value;
    }
  }
  return last;
}

// The text in the braces that open at `at`; nothing if they do not close.
std::optional<std::string_view> braced(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != '{') return std::nullopt;
  int depth = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0)
      return text.substr(at + 1, i - at - 1);
  }
  return std::nullopt;
}

std::optional<double> fraction(std::string_view text) {
  constexpr std::string_view names[] = {"\\frac", "\\dfrac", "\\tfrac"};
  for (const std::string_view name : names) {
    const auto at = text.find(name);
    if (at == std::string_view::npos) continue;
    const auto top = braced(text, at + name.size());
    if (!top) continue;
    const auto bottom = braced(text, at + name.size() + top->size() + 2);
    if (!bottom) continue;
    const auto a = last_number(*top), b = last_number(*bottom);
    if (!a || !b || *b == 0) continue;
    const bool negative = at > 0 && text[at - 1] == '-';
    return (negative ? -1 : 1) * *a / *b;
  }
  return std::nullopt;
}

std::optional<double> number_of(std::string_view text) {
  if (const auto value = fraction(text)) return value;
  return last_number(text);
}

}  // namespace

std::optional<double> final_number(std::string_view text) {
  if (const auto at = text.rfind("####"); at != std::string_view::npos) {
    auto line = text.substr(at + 4);
    line = line.substr(0, line.find('\n'));
    if (const auto value = number_of(line)) return value;
  }
  constexpr std::string_view box = "\\boxed";
  if (const auto at = text.rfind(box); at != std::string_view::npos)
    if (const auto inside = braced(text, at + box.size()))
      if (const auto value = number_of(*inside)) return value;
  return last_number(text);
}

result<double> numeric_reward::of_text(std::string_view answer,
                                       const example& e) const {
  const auto found = final_number(answer), wanted = final_number(e.answer);
  if (!found || !wanted || !std::isfinite(*found)) return -1;
  double tolerance = 1e-6 * std::max(1.0, std::abs(*wanted));
  // Two integers that differ are never the same, however large.
  constexpr double exact_integers = 9007199254740992.0;  // 2^53
  if (*wanted == std::round(*wanted) && std::abs(*wanted) < exact_integers)
    tolerance = std::min(tolerance, 0.49);
  return std::abs(*found - *wanted) <= tolerance ? 1 : -1;
}

result<void> numeric_reward::check(const example& e) const {
  const auto wanted = final_number(e.answer);
  if (!wanted || !std::isfinite(*wanted))
    return error{ec::invalid_argument,
                 "example " + e.id +
                     ": answer: expected a number for the reward numeric, "
                     "found none"};
  return {};
}

}  // namespace t2
