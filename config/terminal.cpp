#include "config/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace t2 {
namespace {

struct code_point {
  char32_t value = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

code_point first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t bytes = lead >= 0xf0 && lead < 0xf8   ? 4
                            : lead >= 0xe0 && lead < 0xf0 ? 3
                            : lead >= 0xc2 && lead < 0xe0 ? 2
                                                          : 0;
  if (bytes == 0 || text.size() < bytes) return {};
  char32_t value = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3f);
  }
  return {value, bytes, true};
}

struct range {
  char32_t first, last;
};

bool is_in(std::span<const range> ranges, char32_t value) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const range& r) {
    return value >= r.first && value <= r.last;
  });
}

// The blocks that matter in practice, out of Unicode's EastAsianWidth.txt and
// DerivedGeneralCategory.txt.
constexpr std::array<range, 9> zero_width{{{0x0300, 0x036f},
                                           {0x0483, 0x0489},
                                           {0x0591, 0x05bd},
                                           {0x064b, 0x065f},
                                           {0x1ab0, 0x1aff},
                                           {0x200b, 0x200f},
                                           {0x20d0, 0x20ff},
                                           {0xfe00, 0xfe0f},
                                           {0xfe20, 0xfe2f}}};
constexpr std::array<range, 8> double_width{{{0x1100, 0x115f},
                                             {0x2e80, 0x303e},
                                             {0x3041, 0xa4cf},
                                             {0xac00, 0xd7a3},
                                             {0xf900, 0xfaff},
                                             {0xfe30, 0xfe6f},
                                             {0xff00, 0xff60},
                                             {0x1f300, 0x1faff}}};

std::size_t width_of(const code_point& point) {
  if (!point.valid) return 1;
  if (is_in(zero_width, point.value)) return 0;
  if (is_in(double_width, point.value)) return 2;
  if (point.value >= 0x20000 && point.value <= 0x3fffd) return 2;
  return 1;
}

}  // namespace

bool is_terminal(int descriptor) {
  return isatty(descriptor) == 1;
}

std::size_t terminal_width(int descriptor, const environment& env) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  const auto columns = variable(env, "COLUMNS");
  std::size_t width = 0;
  std::from_chars(columns.data(), columns.data() + columns.size(), width);
  return width >= 20 && width <= 1000 ? width : 80;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const auto point = first_code_point(text);
    width += width_of(point);
    text.remove_prefix(point.bytes);
  }
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::size_t width = 0;
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const auto point = first_code_point(text.substr(bytes));
    if (width + width_of(point) > columns - 1) break;
    width += width_of(point);
    bytes += point.bytes;
  }
  return std::string(text.substr(0, bytes)) + "…";
}

std::string printable(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const auto point = first_code_point(text);
    const bool control = !point.valid || point.value < 0x20 ||
                         (point.value >= 0x7f && point.value < 0xa0);
    clean += control ? std::string_view("?") : text.substr(0, point.bytes);
    text.remove_prefix(point.bytes);
  }
  return clean;
}

}  // namespace t2
