#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace t2 {

/// Environment variables by name. Passed, never read from the process, by all
/// but `main`, so that tests choose it.
using environment = std::map<std::string, std::string, std::less<>>;

/// A copy of the process's variables. Not safe beside a thread in setenv.
environment process_environment();

/// The variable's value; empty when it is not set.
std::string_view variable(const environment& env, std::string_view name);

/// `$name/rest`, else `$HOME/fallback/rest`; the XDG specification says that a
/// relative path there counts as not set.
std::string xdg_path(const environment& env, std::string_view name,
                     std::string_view fallback, std::string_view rest);

}  // namespace t2
