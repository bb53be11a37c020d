#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace t2 {

/// What a route asks of its caller, and what a caller may do: each includes
/// those before it.
enum class http_scope : std::uint8_t {
  open,        // nothing: anybody
  use,         // answers, and reading what they rest on
  administer,  // what changes the store or takes long
};

constexpr std::string_view to_string(http_scope scope) {
  switch (scope) {
    case http_scope::open: return "open";
    case http_scope::use: return "use";
    case http_scope::administer: return "administer";
  }
  return "unknown";
}

/// Who asks.
struct http_caller {
  http_scope scope = http_scope::open;
  std::string name = {};  // of the key; `local` or `loopback` without one
};

}  // namespace t2
