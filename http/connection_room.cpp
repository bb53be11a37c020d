#include "http/connection_room.hpp"

#include <algorithm>

#include "http/connection.hpp"

namespace t2 {
namespace {

/// Where connections of the Unix socket stand among the networks.
constexpr std::uint64_t unix_network = 0;

}  // namespace

bool connection_room::make_place(const peer_origin& from) {
  const std::size_t kept = from.unix_socket ? 0 : limits.kept_connections;
  while (open_.size() + kept >= limits.connections)
    if (!close_silent(from) && !close_idle(2)) return false;
  return true;
}

bool connection_room::make_descriptor(const peer_origin& from) {
  return close_silent(from) || close_idle(1);
}

/// Of the network with the most of them; for a peer on TCP none of the Unix
/// socket.
bool connection_room::close_silent(const peer_origin& for_whom) {
  const std::set<wait>* crowd = nullptr;
  for (const auto& [network, some] : silent_) {
    if (network == unix_network) continue;
    if (!crowd || some.size() > crowd->size()) crowd = &some;
  }
  if (!crowd && for_whom.unix_socket) {
    const auto own = silent_.find(unix_network);
    if (own != silent_.end()) crowd = &own->second;
  }
  if (!crowd) return false;
  close(*crowd);
  return true;
}

/// Of the caller with the most connections that has one.
bool connection_room::close_idle(std::size_t least_callers) {
  if (callers_.size() < least_callers) return false;
  const share* most = nullptr;
  for (const auto& [name, one] : callers_) {
    if (one.idle.empty()) continue;
    if (!most || one.connections > most->connections) most = &one;
  }
  if (!most) return false;
  close(most->idle);
  return true;
}

/// The first of them. Its place is free at once, although its coroutine has yet
/// to end.
void connection_room::close(const std::set<wait>& some) {
  connection* const one = some.begin()->who;
  const auto found = open_.find(one);
  forget(found->second);
  open_.erase(found);
  tell_metrics();
  one->close_now();
}

void connection_room::enter(connection* one, const peer_origin& from) {
  be_silent(one, open_[one], from, false);
  tell_metrics();
}

void connection_room::leave(connection* one) {
  const auto found = open_.find(one);
  if (found != open_.end()) {
    forget(found->second);
    open_.erase(found);
    tell_metrics();
  }
  if (open_.empty() && on_empty) std::exchange(on_empty, nullptr)();
}

bool connection_room::serve(connection* one, const peer_origin& from,
                            const http_caller& caller) {
  const auto found = open_.find(one);
  if (found == open_.end()) return false;  // it was closed
  if (caller.name.empty()) return true;    // it stays silent
  forget(found->second);
  if (from.unix_socket) return true;
  share& own = callers_[caller.name];
  const std::size_t places =
      limits.connections - std::min(limits.connections, limits.kept_connections);
  const std::size_t others = owned_ - own.connections;
  const std::size_t left = places > others ? places - others : 0;
  const bool full = own.connections >= (4 * left + 4) / 5;
  if (full && own.idle.empty()) {
    if (own.connections == 0) callers_.erase(caller.name);
    be_silent(one, found->second, from, true);
    return false;
  }
  found->second = {.is = kind::busy, .caller = caller.name};
  ++own.connections;
  ++owned_;
  if (full) close(own.idle);
  return true;
}

void connection_room::rest(connection* one, const peer_origin& from) {
  const auto found = open_.find(one);
  if (found == open_.end()) return;
  standing& now = found->second;
  if (now.is == kind::silent) return be_silent(one, now, from, true);
  if (now.is != kind::busy) return;
  now.is = kind::idle;
  now.waits = {.has_spoken = true, .since = ++moments_, .who = one};
  callers_.at(now.caller).idle.insert(now.waits);
}

void connection_room::for_each(
    const std::function<void(connection*)>& f) const {
  for (const auto& [one, now] : open_) f(one);
}

void connection_room::be_silent(connection* one, standing& now,
                                const peer_origin& from, bool has_spoken) {
  forget(now);
  now = {.is = kind::silent,
         .waits = {.has_spoken = has_spoken, .since = ++moments_, .who = one},
         .network = from.unix_socket ? unix_network : from.network};
  silent_[now.network].insert(now.waits);
}

/// Takes it out of where it stands.
void connection_room::forget(standing& now) {
  if (now.is == kind::silent) {
    const auto of = silent_.find(now.network);
    of->second.erase(now.waits);
    if (of->second.empty()) silent_.erase(of);
  } else if (now.is != kind::other) {
    const auto of = callers_.find(now.caller);
    of->second.idle.erase(now.waits);
    if (--of->second.connections == 0) callers_.erase(of);
    --owned_;
  }
  now = {};
}

void connection_room::tell_metrics() const {
  if (metrics) {
    metrics->set_connections(static_cast<std::int64_t>(open_.size()));
  }
}

}  // namespace t2
