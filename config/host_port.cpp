#include "config/host_port.hpp"

#include <algorithm>
#include <charconv>

namespace t2 {
namespace {

/// Of names and of IPv4 addresses; of IPv6 ones with `colons`.
bool is_host(std::string_view text, bool colons) {
  return !text.empty() && text.size() < 256 &&
         std::ranges::all_of(text, [colons](char c) {
           const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
           const bool digit = c >= '0' && c <= '9';
           return letter || digit || c == '.' || c == '-' ||
                  (colons && (c == ':' || c == '%'));
         });
}

}  // namespace

result<host_port> parse_host_port(std::string_view text) {
  const error wrong{ec::invalid_argument,
                    "expected HOST:PORT, an IPv6 address in brackets, found '" +
                        std::string(text.substr(0, 64)) + "'"};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' &&
                         host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  host_port parsed{.host = std::string(host)};
  const auto [end, failed] =
      std::from_chars(port.data(), port.data() + port.size(), parsed.port);
  if (!is_host(host, bracketed) || port.empty() || failed != std::errc() ||
      end != port.data() + port.size()) {
    return wrong;
  }
  return parsed;
}

std::string print_host_port(const host_port& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" +
         std::to_string(address.port);
}

}  // namespace t2
