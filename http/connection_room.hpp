#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "http/access.hpp"
#include "http/server.hpp"

namespace t2 {

class connection;

/// What the connections of a server share, from whichever listener. The
/// server's thread only.
///
/// A connection is *silent* until it has sent a whole header of a caller that is
/// known; silent ones give way to new ones, so that a crowd that says nothing, or
/// shows no key, shuts nobody out. From then on it is its caller's, who may have
/// four fifths of the places on TCP that other callers leave; one too many takes
/// the place of an *idle* one of the same caller, which waits for a request.
class connection_room {
 public:
  connection_room(const router& routes_served, const server_limits& chosen,
                  serving_metrics* counted)
      : routes(routes_served), limits(chosen), metrics(counted) {}

  const router& routes;
  const server_limits& limits;
  access_rules access = {};
  serving_metrics* metrics;      // null: nothing is counted
  std::size_t bodies_bytes = 0;  // of requests being read
  bool draining = false;
  std::function<void()> on_empty = {};  // the last one has gone

  /// Makes a place for one more, if need be by closing a silent one, or where
  /// several callers share the room an idle one of the caller with the most.
  /// False: there is none. Some places are kept for the Unix socket, so that no
  /// crowd on TCP keeps its owner out.
  bool make_place(const peer_origin& from);
  /// Gets a descriptor back in the same way, from an only caller too.
  bool make_descriptor(const peer_origin& from);

  /// One has come, and is silent.
  void enter(connection* one, const peer_origin& from);
  void leave(connection* one);
  /// It has a request of this caller. False: he has too many connections.
  bool serve(connection* one, const peer_origin& from,
             const http_caller& caller);
  /// It waits for its next request.
  void rest(connection* one, const peer_origin& from);

  bool empty() const { return open_.empty(); }
  /// All of them; `f` must not make one go.
  void for_each(const std::function<void(connection*)>& f) const;

 private:
  /// Who gives way first: smaller ones.
  struct wait {
    bool has_spoken = false;
    std::uint64_t since = 0;
    connection* who = nullptr;
    friend auto operator<=>(const wait&, const wait&) = default;
  };
  enum class kind { other, silent, busy, idle };
  struct standing {
    kind is = kind::other;
    wait waits = {};            // silent or idle
    std::uint64_t network = 0;  // silent
    std::string caller = {};    // busy or idle, on TCP
  };
  struct share {
    std::size_t connections = 0;
    std::set<wait> idle;
  };

  bool close_silent(const peer_origin& for_whom);
  bool close_idle(std::size_t least_callers);
  void close(const std::set<wait>& some);
  void be_silent(connection* one, standing& now, const peer_origin& from,
                 bool has_spoken);
  void forget(standing& now);
  void tell_metrics() const;

  std::map<connection*, standing> open_;
  std::map<std::uint64_t, std::set<wait>> silent_;  // by network
  std::map<std::string, share> callers_;            // on TCP
  std::size_t owned_ = 0;                           // of all callers
  std::uint64_t moments_ = 0;
};

}  // namespace t2
