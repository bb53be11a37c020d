#include "config/exit_code.hpp"

namespace t2 {

exit_code exit_code_of(ec code) {
  switch (code) {
    case ec::none: return exit_code::ok;
    case ec::invalid_argument:
    case ec::already_exists: return exit_code::usage;
    case ec::not_found: return exit_code::not_found;
    case ec::corrupt:
    case ec::incompatible: return exit_code::damaged;
    case ec::io: return exit_code::io;
    case ec::busy:
    case ec::unavailable: return exit_code::unavailable;
    case ec::cancelled: return exit_code::cancelled;
    case ec::deadline:
    case ec::exhausted: return exit_code::out_of_budget;
    case ec::internal: return exit_code::failed;
  }
  return exit_code::failed;
}

}  // namespace t2
