#include "demo/problem.hpp"

namespace t2::demo {

std::size_t subject(dice& d, taste t, std::size_t n) {
  if (!t) return d.below(n);
  const bool favourite = d.chance(favour_percent);
  const std::size_t odd = favourite == (*t == writer::careful) ? 0 : 1;
  return 2 * d.below(n / 2) + odd;
}

std::string filled(std::string_view text, const slots& values) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto end = text[i] == '{' ? text.find('}', i) : text.npos;
    if (end == text.npos) {
      out += text[i++];
      continue;
    }
    const auto key = text.substr(i + 1, end - i - 1);
    for (const auto& [name, value] : values)
      if (name == key) out += value;
    i = end + 1;
  }
  return out;
}

}  // namespace t2::demo
