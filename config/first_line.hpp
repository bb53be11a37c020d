#pragma once

#include <string>
#include <string_view>

namespace t2 {

/// Of what an exception or a program says at length.
inline std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace t2
