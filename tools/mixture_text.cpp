#include "tools/mixture_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <vector>

#include "config/terminal.hpp"

namespace t2 {
namespace {

std::string print(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string alpha_text(const ordered_json& alpha) {
  if (alpha.is_number()) return print(alpha.get<double>());
  if (!alpha.is_array() || alpha.empty()) return "1";
  const auto values = alpha.get<std::vector<double>>();
  if (values.size() == 1) return print(values[0]);
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) /
                      static_cast<double>(values.size());
  const auto [low, high] = std::ranges::minmax(values);
  return print(mean) + " (" + print(low) + " to " + print(high) + ")";
}

}  // namespace

std::string mixture_text(const ordered_json& mixture) {
  const auto components = mixture.find("components");
  if (components == mixture.end() || !components->is_array() ||
      components->empty()) {
    return "base";
  }
  std::string text;
  for (const auto& part : *components) {
    if (!text.empty()) text += " + ";
    text += alpha_text(part.value("alpha", ordered_json())) + " " +
            part.value("expert", "") + "@" +
            std::to_string(part.value("version", 0));
  }
  return text;
}

std::string outcome_text(const ordered_json& adaptation) {
  std::string text =
      adaptation.value("accepted", false) ? "accepted" : "stays on the base";
  if (adaptation.value("truncated", false)) text += ", cut by its budget";
  const auto reason = ordered_json::json_pointer("/scores/reason");
  if (adaptation.contains(reason) && adaptation.at(reason).is_string())
    text += ": " + printable(adaptation.at(reason).get<std::string>());
  return text;
}

std::string number_text(const ordered_json& number) {
  return number.is_number() ? print(number.get<double>()) : "-";
}

}  // namespace t2
