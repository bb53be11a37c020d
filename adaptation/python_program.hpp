#pragma once

#include <string>
#include <string_view>

#include "adaptation/example.hpp"

namespace t2 {

/// The code of an answer: the last fenced block that says python (or py), else
/// the last that says nothing, else all of it. A block that does not close
/// runs to the end; a fence that only closes ends the code before it.
std::string code_of(std::string_view answer);

/// Whether a line of it defines a function or class of this name, or assigns it.
bool defines_name(std::string_view code, std::string_view name);

/// The program that an answer makes. Where the example names an entry point
/// that the code does not define, the prompt opens the program and the code
/// goes on (HumanEval); else the code stands alone, behind the prompt's lines
/// of `import` and `from`.
std::string program_of(std::string_view answer, const example& e);

}  // namespace t2
