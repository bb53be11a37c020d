#include "http/metrics_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace t2 {
namespace {

/// The shortest text that reads back as the same number.
std::string print(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

std::string escape(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void metrics_text::family(std::string_view name, std::string_view type,
                          std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
  text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void metrics_text::line(std::string_view suffix, const labels& of,
                        double value) {
  text_.append(name_).append(suffix);
  const char* before = "{";
  for (const auto& [name, content] : of) {
    text_.append(before).append(name).append("=\"").append(escape(content));
    text_.append("\"");
    before = ",";
  }
  if (!of.empty()) text_.append("}");
  text_.append(" ").append(print(value)).append("\n");
}

void metrics_text::sample(double value, const labels& of) {
  line("", of, value);
}

void metrics_text::histogram(std::span<const double> bounds,
                             std::span<const std::uint64_t> counts,
                             double sum) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    const std::string bound = i < bounds.size() ? print(bounds[i]) : "+Inf";
    line("_bucket", {{"le", bound}}, static_cast<double>(total));
  }
  line("_sum", {}, sum);
  line("_count", {}, static_cast<double>(total));
}

void latency_histogram::add(double seconds, std::uint64_t count) {
  const auto at = std::ranges::lower_bound(bounds, seconds) - bounds.begin();
  counts_[static_cast<std::size_t>(at)] += count;
  sum_ += seconds * static_cast<double>(count);
}

}  // namespace t2
