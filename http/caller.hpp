#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace t2 {

/// What a route asks of its caller, and what a caller may do.
enum class http_scope : std::uint8_t {
  open,        // nothing: anybody
  use,         // answers, and reading what they rest on
  metrics,     // reading what the server counts, of all callers together
  administer,  // everything: what changes the store or takes long, too
};

/// Whether who has `held` may do what needs `needed`. What is counted tells of
/// other callers: to use is not enough for it, and the other way round.
constexpr bool includes(http_scope held, http_scope needed) {
  return held == http_scope::administer || held == needed ||
         needed == http_scope::open;
}

constexpr std::string_view to_string(http_scope scope) {
  switch (scope) {
    case http_scope::open: return "open";
    case http_scope::use: return "use";
    case http_scope::metrics: return "metrics";
    case http_scope::administer: return "administer";
  }
  return "unknown";
}

// Callers without a key; no key has these names.
inline constexpr std::string_view socket_caller = "socket";
inline constexpr std::string_view loopback_caller = "loopback";

/// Who asks.
struct http_caller {
  http_scope scope = http_scope::open;
  /// Of the key, or one of those above; empty: nobody that is known. Shares,
  /// what is kept of prompts and the audit log go by it.
  std::string name = {};
};

}  // namespace t2
