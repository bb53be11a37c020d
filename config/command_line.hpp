#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/option.hpp"
#include "config/options.hpp"
#include "config/result.hpp"

namespace t2 {

/// An argument that is known by its place.
struct positional {
  std::string name;  // `FILE`
  std::string help = {};
  bool required = true;
  bool repeated = false;  // the last one only: takes all that are left
};

/// A command of a program: `expert train`, its arguments and its own options
/// (names without a dot: `limit` is `--limit`).
struct command {
  std::string name;
  std::string summary = {};  // one line, without a full stop
  std::vector<positional> positionals = {};
  std::vector<option> options = {};
};

/// A program with commands, or, where there are none, with options alone.
/// Every flag of option_table() is understood beside a command's own; where
/// both have one name the command's wins.
struct program {
  std::string name;
  std::string summary = {};
  std::string version = {};
  std::vector<command> commands = {};
};

/// The typed values of a command's options and its positional arguments.
/// Asking for a name that the command does not declare, or in another type
/// than declared, is a defect of the caller and ends the process.
class command_arguments {
 public:
  struct value {
    option_value held;
    bool given = false;
  };

  command_arguments() = default;
  command_arguments(std::map<std::string, value, std::less<>> values,
                    std::vector<std::string> positionals);

  /// T as option_kind says: bool, std::int64_t, double,
  /// std::chrono::milliseconds, std::string, std::vector<std::string>.
  template <class T>
  const T& get(std::string_view name) const noexcept {
    return std::get<T>(values_.find(name)->second.held);
  }
  /// Whether it was on the command line, not the default.
  bool given(std::string_view name) const noexcept {
    return values_.find(name)->second.given;
  }
  const std::vector<std::string>& positionals() const { return positionals_; }

 private:
  std::map<std::string, value, std::less<>> values_;
  std::vector<std::string> positionals_;
};

/// What a command line asks for.
struct invocation {
  std::string command = {};  // `expert train`; empty without commands
  command_arguments arguments = {};
  loaded_options options = {};
  /// Not empty: print this on standard output and end with success; then
  /// nothing else is filled in.
  std::string text = {};
};

/// Reads `arguments` (without the program's name). Flags may stand anywhere.
/// `--help`, `-h`, `help [COMMAND]`, `help options` and `--version` yield
/// text. Unknown commands and flags, missing and superfluous arguments and
/// wrong values are ec::invalid_argument with the nearest known name; errors
/// of load_options pass through.
result<invocation> parse_command_line(const program& program,
                                      std::span<const std::string> arguments,
                                      const environment& env);

}  // namespace t2
