#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/option.hpp"
#include "config/result.hpp"

namespace t2 {

/// A flag as it was given: `--limit 5` is {option "limit", flag "--limit",
/// text "5"}; a boolean without a value has the text "true".
struct given_flag {
  std::string option;
  std::string flag;
  std::string text;
};

struct given_arguments {
  std::vector<given_flag>
      flags;  // in order: a later one wins; lists are joined
  std::vector<std::string> positionals;
};

/// Splits a command line into flags of `options` and positional arguments.
/// All after `--` is positional, and so is a lone `-`. An unknown flag or a
/// missing value is ec::invalid_argument naming it and the nearest flag.
/// Values are not parsed; one that starts with `--` is given as
/// `--name=--value`.
result<given_arguments> parse_flags(
    std::span<const std::reference_wrapper<const option>> options,
    std::span<const std::string> arguments);

}  // namespace t2
