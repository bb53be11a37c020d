#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/result.hpp"

namespace t2 {

enum class option_kind {
  boolean,   // bool
  text,      // std::string
  path,      // std::string; a leading ~/ stands for $HOME
  integer,   // std::int64_t
  bytes,     // std::int64_t, written 512MiB
  real,      // double
  duration,  // std::chrono::milliseconds, written 30s
  list,      // std::vector<std::string>, written a,b,c
};

using option_value =
    std::variant<bool, std::int64_t, double, std::chrono::milliseconds,
                 std::string, std::vector<std::string>>;

/// The one declaration of an option: flags, variables, TOML keys, help and
/// errors all derive from it.
struct option {
  /// `engine.kv_bytes` in the options of the programs; `limit` in a command's.
  std::string name = {};
  option_kind kind = option_kind::text;
  /// The default; its alternative is the one that `kind` names.
  option_value value = std::string();
  std::string help = {};
  /// What stands for the value in the help: `TOKENS`. Empty: by kind.
  std::string unit = {};
  /// Bounds of integer, bytes and duration (in milliseconds), both allowed.
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  /// Bounds of real, both allowed.
  double low = 0;
  double high = std::numeric_limits<double>::max();
  /// The allowed texts; empty: any.
  std::vector<std::string> choices = {};
  /// For text with a grammar: says yes or no, and what is expected in words.
  std::function<bool(std::string_view)> accepts = {};
  std::string expects = {};
  /// A second, shorter flag, without dashes. The variable and the key have one
  /// name only.
  std::string short_flag = {};
  /// In place of a default that depends on the environment, for the help.
  std::string default_note = {};
  /// A command's option that must be given.
  bool required = false;
};

/// `engine.kv_bytes` → `engine-kv-bytes`.
std::string flag_name(const option& option);
/// `engine.kv_bytes` → `T2_ENGINE_KV_BYTES`.
std::string variable_name(const option& option);
/// What stands for the value in the help: SIZE, TIME, a|b ...; empty for a
/// boolean, whose flag needs no value.
std::string placeholder(const option& option);

/// What a valid value is, in words: `a whole number from 1 to 64`.
std::string expectation(const option& option);

/// A value from the text of a flag or variable, checked. The message of the
/// error is `expected ..., found '...'`: the caller adds where.
result<option_value> parse_option(const option& option, std::string_view text);

/// Whether a value obeys the declaration; same message.
result<void> check_option(const option& option, const option_value& value);

/// The text that parse_option reads back.
std::string print_option(const option& option, const option_value& value);

}  // namespace t2
