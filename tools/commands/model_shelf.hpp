#pragma once

#include "tools/session.hpp"

namespace t2 {

command_entry model_add_command();
command_entry model_list_command();

}  // namespace t2
