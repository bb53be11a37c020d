#include "adaptation/python_program.hpp"

#include <optional>
#include <vector>

#include "adaptation/exact_reward.hpp"

namespace t2 {
namespace {

constexpr std::string_view fence = "```";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto length = end == std::string_view::npos ? text.size() : end + 1;
    lines.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return lines;
}

bool says_python(std::string_view language) {
  return language == "python" || language == "py" || language == "python3" ||
         language == "Python";
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_';
}

/// `line` without `word` and the blanks behind it; nothing where it does not
/// start so.
std::optional<std::string_view> after(std::string_view line,
                                      std::string_view word) {
  if (!line.starts_with(word)) return std::nullopt;
  line.remove_prefix(word.size());
  const auto next = line.find_first_not_of(" \t");
  return line.substr(next == std::string_view::npos ? line.size() : next);
}

}  // namespace

std::string code_of(std::string_view answer) {
  std::optional<std::string> tagged, plain, open;
  std::string before, language;
  for (const std::string_view line : lines_of(answer)) {
    const auto text = trimmed(line);
    if (!text.starts_with(fence)) {
      (open ? *open : before) += line;
      continue;
    }
    if (open) {
      (says_python(language) ? tagged : plain) = *std::move(open);
      open.reset();
      before.clear();
    } else {
      language = std::string(trimmed(text.substr(fence.size())));
      open.emplace();
    }
  }
  if (open) {
    // A lone fence at the end closes what a prompt opened.
    const bool closes = trimmed(*open).empty() && language.empty();
    if (!closes)
      (says_python(language) ? tagged : plain) = *std::move(open);
    else if (!tagged && !plain)
      return before;
  }
  if (tagged) return *tagged;
  if (plain) return *plain;
  return std::string(answer);
}

bool defines_name(std::string_view code, std::string_view name) {
  for (std::string_view line : lines_of(code))
    for (const char* opening : {"def ", "async def ", "class ", ""}) {
      const auto rest = after(line, opening);
      if (!rest || !rest->starts_with(name)) continue;
      const auto tail = rest->substr(name.size());
      if (tail.empty() || is_name_char(tail.front())) continue;
      if (*opening != '\0') return true;
      if (line.starts_with(' ') || line.starts_with('\t')) continue;
      const auto assigned = after(tail, "");
      if (assigned->starts_with('=') && !assigned->starts_with("==")) return true;
    }
  return false;
}

std::string program_of(std::string_view answer, const example& e) {
  std::string code = code_of(answer);
  // Models open an answer with one space behind some prompts; a program that
  // stands alone cannot have it.
  const auto first = code.find_first_not_of(' ');
  const std::string alone = first == 1 ? code.substr(1) : code;
  if (!e.entry_point.empty() && !defines_name(alone, e.entry_point))
    return e.prompt + code;
  code = alone;
  std::string program;
  for (const std::string_view line : lines_of(e.prompt))
    if (line.starts_with("import ") ||
        (line.starts_with("from ") &&
         line.find(" import ") != std::string_view::npos))
      program += line;
  if (!program.empty() && program.back() != '\n') program += '\n';
  return program + code;
}

}  // namespace t2
