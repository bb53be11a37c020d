#pragma once

#include <cstdint>
#include <utility>

#include "config/host_port.hpp"
#include "config/result.hpp"

namespace t2 {

/// A listening TCP socket.
class tcp_listener {
 public:
  /// The first address that the host's name stands for. ec::not_found: it
  /// stands for none; ec::busy: the port is taken; ec::io for the rest.
  static result<tcp_listener> bind(const host_port& wanted);

  tcp_listener(tcp_listener&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        family_(other.family_),
        address_(std::move(other.address_)),
        loopback_(other.loopback_) {}
  tcp_listener& operator=(tcp_listener&&) = delete;
  ~tcp_listener();

  /// The listening descriptor. Belongs to the caller from then on.
  int release_descriptor() { return std::exchange(fd_, -1); }
  int family() const { return family_; }
  /// Numeric, with the port that was found.
  const host_port& address() const { return address_; }
  /// Only this machine can connect.
  bool loopback() const { return loopback_; }

 private:
  tcp_listener() = default;

  int fd_ = -1;
  int family_ = 0;
  host_port address_;
  bool loopback_ = false;
};

/// Whether the other end of a connected TCP socket is on this machine.
bool peer_is_loopback(int fd);

/// A number for what one stranger has of addresses: that of an IPv4 address, or
/// of the first half of an IPv6 address, of which a host has as many as it
/// likes. Never 0.
std::uint64_t peer_network(int fd);

/// Sends at once what is written, and notices in a minute or two when the
/// other machine has vanished.
void tune_tcp(int fd);

}  // namespace t2
