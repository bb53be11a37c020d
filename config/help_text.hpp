#pragma once

#include <span>
#include <string>

#include "config/command_line.hpp"

namespace t2 {

/// The commands of a program with a line each; for one without commands its
/// options. 80 columns, ends with a line end.
std::string program_help(const program& program);

/// The commands whose names start with the word `group`.
std::string group_help(const program& program, std::string_view group);

/// One command: usage, arguments, options.
std::string command_help(const program& program, const command& command);

/// Every option of option_table() with flag, default, and how it is set by
/// variable and file.
std::string options_help();

}  // namespace t2
