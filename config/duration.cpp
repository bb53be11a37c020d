#include "config/duration.hpp"

#include <array>
#include <cstdio>

#include "config/quantity.hpp"

namespace t2 {
namespace {

constexpr std::array<quantity_unit, 5> units{{{"ms", 1},
                                              {"s", 1'000},
                                              {"m", 60'000},
                                              {"h", 3'600'000},
                                              {"d", 86'400'000}}};

}  // namespace

result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (const auto time = parse_quantity(text, units)) {
    return std::chrono::milliseconds(*time);
  }
  return error{ec::invalid_argument,
               "expected a duration such as 30s, 500ms or 5m, found '" +
                   std::string(text) + "'"};
}

std::string print_duration(std::chrono::milliseconds time) {
  return print_quantity(time.count(), units);
}

std::string approximate_duration(std::chrono::duration<double> time) {
  const double seconds = time.count();
  std::array<char, 48> text{};
  if (seconds < 0.9995) {
    std::snprintf(text.data(), text.size(), "%.0f ms", seconds * 1000);
  } else if (seconds < 59.95) {
    std::snprintf(text.data(), text.size(), "%.1f s", seconds);
  } else {
    const auto whole = static_cast<long long>(seconds + 0.5);
    if (whole < 3600) {
      std::snprintf(text.data(), text.size(), "%lldm %02llds", whole / 60,
                    whole % 60);
    } else {
      std::snprintf(text.data(), text.size(), "%lldh %02lldm", whole / 3600,
                    whole % 3600 / 60);
    }
  }
  return text.data();
}

}  // namespace t2
