#include "config/result.hpp"

namespace t2 {

std::string_view to_string(ec code) {
  switch (code) {
    case ec::none: return "none";
    case ec::invalid_argument: return "invalid_argument";
    case ec::not_found: return "not_found";
    case ec::already_exists: return "already_exists";
    case ec::corrupt: return "corrupt";
    case ec::incompatible: return "incompatible";
    case ec::io: return "io";
    case ec::busy: return "busy";
    case ec::cancelled: return "cancelled";
    case ec::deadline: return "deadline";
    case ec::exhausted: return "exhausted";
    case ec::unavailable: return "unavailable";
    case ec::internal: return "internal";
  }
  return "unknown";
}

}  // namespace t2
