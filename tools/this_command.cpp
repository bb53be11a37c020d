#include "tools/this_command.hpp"

#include <fstream>
#include <string_view>

namespace t2 {
namespace {

constexpr std::string_view plain =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    "_-./=:,@%+";

std::string in_quotes(const std::string& word) {
  if (!word.empty() && word.find_first_not_of(plain) == word.npos) return word;
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

}  // namespace

std::string this_command() {
  std::ifstream in{"/proc/self/cmdline", std::ios::binary};
  std::string line;
  for (std::string one; std::getline(in, one, '\0');)
    line += (line.empty() ? "" : " ") + in_quotes(one);
  return line;
}

}  // namespace t2
