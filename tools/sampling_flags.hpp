#pragma once

#include <vector>

#include "config/command_line.hpp"
#include "http/json.hpp"

namespace t2 {

/// --max-tokens, --temperature and the like of commands that ask.
std::vector<option> sampling_flags();

/// The members of a completion's body for those that were given.
ordered_json sampling_form(const command_arguments& given);

}  // namespace t2
