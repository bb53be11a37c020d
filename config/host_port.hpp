#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// Where a TCP server listens.
struct host_port {
  std::string host;        // a name or an address, IPv6 without brackets
  std::uint16_t port = 0;  // 0: any that is free
};

/// `127.0.0.1:8080`, `[::1]:0` or `localhost:80`. ec::invalid_argument says
/// what was expected and found. Resolves nothing.
result<host_port> parse_host_port(std::string_view text);

/// The text that parse_host_port reads back.
std::string print_host_port(const host_port& address);

}  // namespace t2
