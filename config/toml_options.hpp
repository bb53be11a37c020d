#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "config/option.hpp"
#include "config/result.hpp"

namespace t2 {

/// A value of a TOML file and its place, `t2.toml:3`.
struct toml_value {
  option_value value;
  std::string where;
};

/// The values of a TOML file by option name, each checked against its
/// declaration in option_table(). Errors start with `file:line`: bad syntax,
/// an unknown section or key (with the nearest known one), a wrong type or
/// range; ec::not_found or ec::io when it cannot be read. At most 1 MiB.
result<std::map<std::string, toml_value>> read_toml_options(
    const std::filesystem::path& file);

}  // namespace t2
