#include "config/byte_size.hpp"

#include <array>
#include <cstdio>

#include "config/quantity.hpp"

namespace t2 {
namespace {

constexpr std::array<quantity_unit, 10> read_units{{{"", 1},
                                                    {"B", 1},
                                                    {"KB", 1'000},
                                                    {"MB", 1'000'000},
                                                    {"GB", 1'000'000'000},
                                                    {"TB", 1'000'000'000'000},
                                                    {"KiB", kibibyte},
                                                    {"MiB", mebibyte},
                                                    {"GiB", gibibyte},
                                                    {"TiB", tebibyte}}};
constexpr std::array<quantity_unit, 5> print_units{{{"", 1},
                                                    {"KiB", kibibyte},
                                                    {"MiB", mebibyte},
                                                    {"GiB", gibibyte},
                                                    {"TiB", tebibyte}}};

}  // namespace

result<std::int64_t> parse_byte_size(std::string_view text) {
  if (const auto bytes = parse_quantity(text, read_units)) return *bytes;
  return error{ec::invalid_argument, "expected a size such as 512MiB, found '" +
                                         std::string(text) + "'"};
}

std::string print_byte_size(std::int64_t bytes) {
  return print_quantity(bytes, print_units);
}

std::string approximate_byte_size(std::int64_t bytes) {
  if (bytes < kibibyte) return std::to_string(bytes) + " B";
  constexpr std::array names{"KiB", "MiB", "GiB", "TiB", "PiB"};
  double scaled = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 999.5 would print as four digits.
  while (scaled >= 999.5 && unit + 1 < names.size()) {
    scaled /= 1024;
    ++unit;
  }
  const int decimals = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f %s", decimals, scaled,
                names[unit]);
  return text.data();
}

}  // namespace t2
