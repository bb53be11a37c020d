#include "http/access.hpp"

#include <algorithm>
#include <cctype>
#include <string>

#include "http/json.hpp"

namespace t2 {
namespace {

access_verdict refuse(int status, const char* code, const std::string& why) {
  const ordered_json form = {{"error",
                              {{"message", why},
                               {"type", "invalid_request_error"},
                               {"code", code}}}};
  http_reply reply{.status = status, .body = dump_json(form)};
  if (status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return {.refusal = std::move(reply)};
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

/// Of `Bearer KEY`; empty without one.
std::string_view key_of(std::string_view authorization) {
  const auto space = authorization.find(' ');
  if (space == std::string_view::npos ||
      !equal_ignoring_case(authorization.substr(0, space), "bearer")) {
    return {};
  }
  auto key = authorization.substr(space + 1);
  key.remove_prefix(std::min(key.find_first_not_of(' '), key.size()));
  return key;
}

/// Whether a Host header names this machine, so that no name of somebody
/// else's that resolves to it (DNS rebinding) gets in.
bool names_loopback(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    return host.substr(0, end) == "[::1";
  }
  host = host.substr(0, host.find(':'));
  if (equal_ignoring_case(host, "localhost")) return true;
  return host.starts_with("127.") &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// Whether a page of another origin has made the request.
bool is_foreign(std::string_view origin, std::string_view host) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) {
      return !equal_ignoring_case(origin.substr(scheme.size()), host);
    }
  }
  return !origin.empty();
}

access_verdict judge_without_keys(const peer_origin& from,
                                  const request_claims& claims) {
  if (!from.loopback) {
    return refuse(403, "permission_denied",
                  "without server.keys only this machine may ask");
  }
  if (!names_loopback(claims.host)) {
    return refuse(403, "permission_denied",
                  "Host: expected a name of this machine, such as localhost");
  }
  if (is_foreign(claims.origin, claims.host)) {
    return refuse(403, "permission_denied",
                  "Origin: expected none, or that of this server");
  }
  return {.caller = {http_scope::administer, std::string(loopback_caller)}};
}

}  // namespace

access_verdict judge(const access_rules& rules, const peer_origin& from,
                     const request_claims& claims, http_scope needed) {
  if (from.unix_socket) {
    return {.caller = {http_scope::administer, std::string(socket_caller)}};
  }
  if (!rules.keys) return judge_without_keys(from, claims);

  const auto key = key_of(claims.authorization);
  auto caller = rules.keys->find(key);
  if (!caller) {
    if (needed == http_scope::open) return {};
    return refuse(401, "invalid_api_key",
                  key.empty() ? "expected an API key: Authorization: Bearer KEY"
                              : "the API key is not known");
  }
  if (!from.loopback && !rules.administer_remotely &&
      caller->scope == http_scope::administer) {
    caller->scope = http_scope::use;
  }
  if (!includes(caller->scope, needed)) {
    return refuse(403, "permission_denied",
                  "the key '" + caller->name + "' may not do this" +
                      (from.loopback || rules.administer_remotely
                           ? ""
                           : " from another machine: its scope, or "
                             "server.administer_remotely, is in the way"));
  }
  return {.caller = *std::move(caller)};
}

}  // namespace t2
