#pragma once

#include <string>

namespace t2 {

/// The command line of this process as a shell would read it again.
std::string this_command();

}  // namespace t2
