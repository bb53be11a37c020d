#include "config/quantity.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace t2 {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool same_unit(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

std::optional<std::int64_t> parse_quantity(
    std::string_view text, std::span<const quantity_unit> units) {
  const char* const end = text.data() + text.size();
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  std::int64_t whole = 0;
  auto [at, failure] = std::from_chars(text.data(), end, whole);
  if (failure != std::errc{}) return std::nullopt;

  std::int64_t fraction = 0;  // in millionths of the unit
  bool has_fraction = false;
  if (at != end && *at == '.') {
    std::int64_t place = 100'000;
    for (++at; at != end && is_digit(*at); ++at, place /= 10) {
      if (place == 0) return std::nullopt;
      fraction += (*at - '0') * place;
      has_fraction = true;
    }
    if (!has_fraction) return std::nullopt;
  }
  if (at != end && *at == ' ' && ++at == end) return std::nullopt;

  const std::string_view name(at, static_cast<std::size_t>(end - at));
  const auto unit = std::find_if(
      units.begin(), units.end(),
      [&](const quantity_unit& u) { return same_unit(u.name, name); });
  if (unit == units.end()) {
    const bool zero = name.empty() && whole == 0 && fraction == 0;
    return zero ? std::optional<std::int64_t>(0) : std::nullopt;
  }
  if (has_fraction && unit->factor == 1) return std::nullopt;

  std::int64_t value = 0;
  // Units stay below 2^43, so a fraction times its unit fits in 63 bits.
  const std::int64_t part = fraction * unit->factor / 1'000'000;
  if (__builtin_mul_overflow(whole, unit->factor, &value) ||
      __builtin_add_overflow(value, part, &value)) {
    return std::nullopt;
  }
  return value;
}

std::string print_quantity(std::int64_t value,
                           std::span<const quantity_unit> units) {
  const quantity_unit* best = &units.front();
  for (const auto& unit : units) {
    if (value != 0 && unit.factor > best->factor && value % unit.factor == 0) {
      best = &unit;
    }
  }
  return std::to_string(value / best->factor) + std::string(best->name);
}

}  // namespace t2
