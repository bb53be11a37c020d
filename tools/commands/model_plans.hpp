#pragma once

#include <string>

#include "config/option.hpp"
#include "tools/session.hpp"

namespace t2 {

/// `t2 model plans`; `shapes` says which models there are by name.
command_entry model_plans_command(const option& targets,
                                  const std::string& shapes);

}  // namespace t2
