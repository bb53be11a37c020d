#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <utility>

#include "http/access.hpp"
#include "http/server.hpp"

namespace t2 {

class connection;

/// What the connections of a server share, from whichever listener. The
/// server's thread only.
struct connection_room {
  const router& routes;
  const server_limits& limits;
  access_rules access = {};
  serving_metrics* metrics = nullptr;  // null: nothing is counted
  std::set<connection*> open = {};
  std::size_t bodies_bytes = 0;  // of requests being read
  bool draining = false;
  std::function<void()> on_empty = {};  // the last one has gone

  /// Whether one more may come. Some places are kept for the Unix socket, so
  /// that no crowd on TCP keeps its owner out.
  bool has_place(const peer_origin& from) const {
    const std::size_t kept = from.unix_socket ? 0 : limits.kept_connections;
    return open.size() + kept < limits.connections;
  }
  void enter(connection* one) {
    open.insert(one);
    tell_metrics();
  }
  void leave(connection* one) {
    open.erase(one);
    tell_metrics();
    if (open.empty() && on_empty) std::exchange(on_empty, nullptr)();
  }

 private:
  void tell_metrics() const {
    if (metrics) {
      metrics->set_connections(static_cast<std::int64_t>(open.size()));
    }
  }
};

}  // namespace t2
