#include "config/command_line.hpp"

#include <algorithm>
#include <optional>

#include "config/edit_distance.hpp"
#include "config/help_text.hpp"

namespace t2 {
namespace {

using option_list = std::vector<std::reference_wrapper<const option>>;

error usage(std::string message) {
  return {ec::invalid_argument, std::move(message)};
}

option_list common_options() {
  option_list options{config_option()};
  for (const auto& entry : option_table()) options.push_back(entry.declared);
  return options;
}

bool is_help(std::string_view token) {
  return token == "--help" || token == "-h";
}

/// Whether the flag `token` takes the next token as its value, for those that
/// may stand before the command: unknown ones are reported later.
bool takes_next(const option_list& options, std::string_view token) {
  if (token.find('=') != std::string_view::npos) return false;
  return std::any_of(options.begin(), options.end(), [&](const option& known) {
    return known.kind != option_kind::boolean &&
           (token == "--" + flag_name(known) ||
            token == "--" + known.short_flag);
  });
}

/// Where the first token that is no flag stands, or the end.
std::size_t first_word(const option_list& options,
                       std::span<const std::string> arguments) {
  std::size_t at = 0;
  while (at < arguments.size() && arguments[at].starts_with('-')) {
    at += takes_next(options, arguments[at]) ? 2 : 1;
  }
  return std::min(at, arguments.size());
}

const command* find_command(const program& program, std::string_view name) {
  const auto found = std::find_if(
      program.commands.begin(), program.commands.end(),
      [&](const command& candidate) { return candidate.name == name; });
  return found == program.commands.end() ? nullptr : &*found;
}

bool is_group(const program& program, const std::string& word) {
  return std::any_of(program.commands.begin(), program.commands.end(),
                     [&](const command& candidate) {
                       return candidate.name.starts_with(word + " ");
                     });
}

error unknown_command(const program& program, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& command : program.commands) names.push_back(command.name);
  return usage("unknown command '" + name + "'; the nearest known one is '" +
               nearest(name, names) + "'");
}

/// The command that `words` start with and how many words it is.
struct command_match {
  const command* found = nullptr;
  std::size_t words = 0;
};

command_match match(const program& program,
                    std::span<const std::string> words) {
  if (words.size() >= 2) {
    if (const auto* two = find_command(program, words[0] + " " + words[1])) {
      return {two, 2};
    }
  }
  return {find_command(program, words[0]), 1};
}

/// Help on what `words` name.
result<std::string> help_on(const program& program,
                            std::span<const std::string> words) {
  if (words.empty()) return program_help(program);
  if (words[0] == "options") return options_help();
  if (const auto* command = match(program, words).found) {
    return command_help(program, *command);
  }
  if (words.size() == 1 && is_group(program, words[0])) {
    return group_help(program, words[0]);
  }
  return unknown_command(
      program, words.size() == 1 ? words[0] : words[0] + " " + words[1]);
}

result<void> check_positionals(const command& command,
                               const std::vector<std::string>& given) {
  for (std::size_t i = 0; i < command.positionals.size(); ++i) {
    if (command.positionals[i].required && i >= given.size()) {
      return usage(command.name + ": expected " + command.positionals[i].name +
                   ", found nothing");
    }
  }
  const bool open =
      !command.positionals.empty() && command.positionals.back().repeated;
  if (!open && given.size() > command.positionals.size()) {
    const auto& extra = given[command.positionals.size()];
    return usage((command.name.empty() ? "" : command.name + ": ") +
                 "expected no further argument, found '" + extra + "'");
  }
  return {};
}

result<command_arguments> read_arguments(const command& command,
                                         given_arguments& given) {
  if (auto fine = check_positionals(command, given.positionals); !fine) {
    return fine.error();
  }
  std::map<std::string, command_arguments::value, std::less<>> values;
  for (const auto& declared : command.options) {
    auto& value = values[declared.name];
    value.held = declared.value;
    for (const auto& flag : given.flags) {
      if (flag.option != declared.name) continue;
      auto parsed = parse_option(declared, flag.text);
      if (!parsed) return usage(flag.flag + ": " + parsed.error().message);
      value = {.held = std::move(*parsed), .given = true};
    }
    if (declared.required && !value.given) {
      return usage(command.name + ": expected --" + flag_name(declared) +
                   ", found nothing");
    }
  }
  return command_arguments(std::move(values), std::move(given.positionals));
}

result<invocation> run(const command& command,
                       std::span<const std::string> arguments,
                       const environment& env) {
  option_list options(command.options.begin(), command.options.end());
  const auto common = common_options();
  options.insert(options.end(), common.begin(), common.end());
  auto given = parse_flags(options, arguments);
  if (!given) return given.error();

  auto values = read_arguments(command, *given);
  if (!values) return values.error();
  auto loaded = resolve_options(given->flags, env);
  if (!loaded) return loaded.error();
  return invocation{.command = command.name,
                    .arguments = std::move(*values),
                    .options = std::move(*loaded)};
}

}  // namespace

command_arguments::command_arguments(
    std::map<std::string, value, std::less<>> values,
    std::vector<std::string> positionals)
    : values_(std::move(values)), positionals_(std::move(positionals)) {}

result<invocation> parse_command_line(const program& program,
                                      std::span<const std::string> arguments,
                                      const environment& env) {
  const auto with_text = [](result<std::string> text) -> result<invocation> {
    if (!text) return text.error();
    return invocation{.text = std::move(*text)};
  };
  const auto common = common_options();
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  const std::span<const std::string> before(arguments.begin(), end);
  const bool wants_help = std::any_of(before.begin(), before.end(), is_help);
  const bool has_commands = !program.commands.empty();

  const std::size_t at =
      has_commands ? first_word(common, before) : before.size();
  if (std::find(
          before.begin(), before.begin() + static_cast<std::ptrdiff_t>(at),
          "--version") != before.begin() + static_cast<std::ptrdiff_t>(at)) {
    return with_text(program.name + " " + program.version + "\n");
  }
  if (!has_commands) {
    if (wants_help) return with_text(program_help(program));
    return run(command{}, arguments, env);
  }

  const auto words = before.subspan(at);
  if (words.empty()) {
    if (arguments.empty() || wants_help)
      return with_text(program_help(program));
    // A flag that nobody knows is the nearer mistake than a missing command.
    if (auto flags = parse_flags(common, arguments); !flags) {
      return flags.error();
    }
    return usage("expected a command, found none; `" + program.name +
                 " help` lists them");
  }
  if (words[0] == "help") {
    std::vector<std::string> topic;
    std::copy_if(words.begin() + 1, words.end(), std::back_inserter(topic),
                 [](const auto& word) { return !word.starts_with('-'); });
    return with_text(help_on(program, topic));
  }
  const auto [chosen, count] = match(program, words);
  if (chosen == nullptr) {
    const bool group = is_group(program, words[0]);
    const bool second = words.size() >= 2 && !words[1].starts_with('-');
    if (group && !second) {
      if (wants_help) return with_text(group_help(program, words[0]));
      return usage("expected a command after '" + words[0] +
                   "', found none; `" + program.name + " help " + words[0] +
                   "` lists them");
    }
    return unknown_command(program,
                           group ? words[0] + " " + words[1] : words[0]);
  }
  if (wants_help) return with_text(command_help(program, *chosen));

  std::vector<std::string> rest(
      arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(at));
  rest.insert(rest.end(),
              arguments.begin() + static_cast<std::ptrdiff_t>(at + count),
              arguments.end());
  return run(*chosen, rest, env);
}

}  // namespace t2
