#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "config/environment.hpp"

namespace t2 {

/// Whether the file descriptor (1: standard output) is a terminal.
bool is_terminal(int descriptor);

/// Columns of the terminal behind the descriptor, else `COLUMNS`, else 80.
std::size_t terminal_width(int descriptor, const environment& env);

/// Columns that a UTF-8 text takes: combining marks none, East Asian wide
/// characters and emoji two; a byte that is no UTF-8 one.
std::size_t display_width(std::string_view text);

/// `text` cut to `columns`, its last column an ellipsis where it was cut.
std::string cut_to_width(std::string_view text, std::size_t columns);

/// Control characters, escapes and line ends replaced by `?`, for text of
/// others that goes into one line of a terminal.
std::string printable(std::string_view text);

}  // namespace t2
