#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "http/caller.hpp"
#include "http/http_message.hpp"
#include "http/key_ring.hpp"

namespace t2 {

/// Where a request comes from, as its listener knows.
struct peer_origin {
  bool unix_socket = false;   // the mode of its file guards it
  bool loopback = false;      // TCP from this machine
  std::uint64_t network = 0;  // of TCP (peer_network); 0: the Unix socket
};

/// What a request says of itself; empty: nothing.
struct request_claims {
  std::string_view authorization = {}, host = {}, origin = {};
};

/// Who may ask what (docs/formats.md).
struct access_rules {
  /// None: peers on this machine may do everything, others nothing.
  std::shared_ptr<const key_ring> keys = {};
  /// Otherwise keys to administer are keys to use from other machines.
  bool administer_remotely = false;
};

/// The caller, or the answer that refuses: 401 with WWW-Authenticate, or 403.
struct access_verdict {
  http_caller caller = {};
  std::optional<http_reply> refusal = {};
};
access_verdict judge(const access_rules& rules, const peer_origin& from,
                     const request_claims& claims, http_scope needed);

}  // namespace t2
