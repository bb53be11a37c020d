#include "config/help_text.hpp"

#include <algorithm>
#include <vector>

namespace t2 {
namespace {

constexpr std::size_t width = 80;
constexpr std::size_t help_column = 30;

std::vector<std::string> wrap(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, space);
    if (!line.empty() && line.size() + 1 + word.size() > columns) {
      lines.push_back(std::move(line));
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

/// `  left    right`, the right part wrapped; on its own line where the left
/// one is too long.
std::string entry(const std::string& left, std::string_view right) {
  std::string out = "  " + left;
  if (right.empty()) return out + '\n';
  if (out.size() + 2 > help_column)
    out += '\n' + std::string(help_column, ' ');
  else
    out.append(help_column - out.size(), ' ');
  bool first = true;
  for (const auto& line : wrap(right, width - help_column)) {
    if (!first) out += std::string(help_column, ' ');
    out += line + '\n';
    first = false;
  }
  return out;
}

std::string option_entry(const option& option) {
  std::string left;
  if (!option.short_flag.empty()) left = "--" + option.short_flag + ", ";
  left += "--" + flag_name(option);
  if (const auto value = placeholder(option); !value.empty()) {
    left += ' ' + value;
  }
  std::string right = option.help;
  std::string standard = option.default_note.empty()
                             ? print_option(option, option.value)
                             : option.default_note;
  if (option.required) {
    right += " (required)";
  } else if (option.kind != option_kind::boolean && !standard.empty()) {
    right += " [" + standard + "]";
  }
  return entry(left, right);
}

std::string positional_text(const positional& argument) {
  const std::string name =
      argument.repeated ? argument.name + "..." : argument.name;
  return argument.required ? name : "[" + name + "]";
}

std::string command_list(const program& program, std::string_view prefix) {
  std::string out;
  for (const auto& command : program.commands) {
    if (command.name.starts_with(prefix)) {
      out += entry(command.name, command.summary);
    }
  }
  return out;
}

std::string heading(const std::string& name, const std::string& summary) {
  return summary.empty() ? name + "\n" : name + " - " + summary + "\n";
}

std::string sections() {
  std::string out;
  std::string section;
  for (const auto& item : option_table()) {
    const auto& name = item.declared.name;
    if (const auto here = name.substr(0, name.find('.')); here != section) {
      section = here;
      out += "\n[" + section + "]\n";
    }
    out += option_entry(item.declared);
  }
  return out;
}

constexpr auto precedence =
    "A flag wins over a variable, a variable over the TOML file. Variables "
    "and\n"
    "keys are named after the flag: --engine-kv-bytes is T2_ENGINE_KV_BYTES "
    "and\n"
    "[engine] kv_bytes. Sizes are written 512MiB, durations 30s, 500ms or "
    "5m.\n";

}  // namespace

std::string options_help() {
  return precedence + std::string("\n") + option_entry(config_option()) +
         sections();
}

std::string program_help(const program& program) {
  std::string out = heading(program.name, program.summary);
  if (program.commands.empty()) {
    return out + "\nUsage: " + program.name + " [OPTIONS]\n\n" +
           options_help() + '\n' + entry("--help, -h", "print this") +
           entry("--version", "print the version");
  }
  out += "\nUsage: " + program.name + " COMMAND [ARGUMENTS] [OPTIONS]\n";
  out += "\nCommands:\n" + command_list(program, "");
  out += "\nOne command: `" + program.name +
         " help COMMAND`. The options of all: `" + program.name +
         " help options`.\n";
  return out;
}

std::string group_help(const program& program, std::string_view group) {
  const std::string word(group);
  return "Usage: " + program.name + " " + word +
         " COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n" +
         command_list(program, word + " ");
}

std::string command_help(const program& program, const command& command) {
  std::string usage = "Usage: " + program.name + " " + command.name;
  for (const auto& argument : command.positionals) {
    usage += ' ' + positional_text(argument);
  }
  std::string out = heading(program.name + " " + command.name, command.summary);
  out += '\n' + usage + " [OPTIONS]\n";
  if (!command.positionals.empty()) {
    out += "\nArguments:\n";
    for (const auto& argument : command.positionals) {
      out += entry(argument.repeated ? argument.name + "..." : argument.name,
                   argument.help);
    }
  }
  if (!command.options.empty()) {
    out += "\nOptions:\n";
    for (const auto& option : command.options) out += option_entry(option);
  }
  out +=
      "\nThe options of all commands: `" + program.name + " help options`.\n";
  return out;
}

}  // namespace t2
