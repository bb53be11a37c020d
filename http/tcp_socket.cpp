#include "http/tcp_socket.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

namespace t2 {
namespace {

error failed(const host_port& address, const char* what) {
  const ec code = errno == EADDRINUSE ? ec::busy : ec::io;
  return {code, "server.listen: " + print_host_port(address) + ": " + what +
                    ": " + std::strerror(errno)};
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    in_addr v4;
    std::memcpy(&v4, &reinterpret_cast<const sockaddr_in&>(address).sin_addr,
                sizeof v4);
    return ntohl(v4.s_addr) >> 24 == 127;
  }
  if (address.ss_family != AF_INET6) return false;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

result<host_port> numeric(const sockaddr_storage& address, socklen_t size) {
  std::array<char, NI_MAXHOST> host;
  std::array<char, NI_MAXSERV> port;
  const int code = ::getnameinfo(
      reinterpret_cast<const sockaddr*>(&address), size, host.data(),
      host.size(), port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV);
  if (code != 0) return error{ec::io, ::gai_strerror(code)};
  return host_port{host.data(),
                   static_cast<std::uint16_t>(std::stoul(port.data()))};
}

}  // namespace

result<tcp_listener> tcp_listener::bind(const host_port& wanted) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      ::getaddrinfo(wanted.host.c_str(), std::to_string(wanted.port).c_str(),
                    &hints, &found);
  if (code != 0) {
    return error{ec::not_found, "server.listen: " + wanted.host + ": " +
                                    ::gai_strerror(code)};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> first(
      found, &::freeaddrinfo);

  tcp_listener made;
  made.family_ = first->ai_family;
  made.fd_ = ::socket(first->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made.fd_ < 0) return failed(wanted, "cannot open a socket");
  // A restart need not wait until old connections are forgotten.
  const int yes = 1;
  ::setsockopt(made.fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(made.fd_, first->ai_addr, first->ai_addrlen) != 0 ||
      ::listen(made.fd_, 128) != 0) {
    return failed(wanted, "cannot listen");
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(made.fd_, reinterpret_cast<sockaddr*>(&bound), &size) !=
      0) {
    return failed(wanted, "cannot tell its address");
  }
  auto address = numeric(bound, size);
  if (!address) return address.error();
  made.address_ = *std::move(address);
  made.loopback_ = is_loopback(bound);
  return made;
}

tcp_listener::~tcp_listener() {
  if (fd_ >= 0) ::close(fd_);
}

bool peer_is_loopback(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
         is_loopback(peer);
}

std::uint64_t peer_network(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  std::uint64_t number = 0;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) {
    if (peer.ss_family == AF_INET) {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer).sin_addr;
      number = v4.s_addr;
    } else if (peer.ss_family == AF_INET6) {
      const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
      const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6);
      std::memcpy(&number, v6.s6_addr + (mapped ? 12 : 0),
                  mapped ? 4 : sizeof number);
    }
  }
  return number == 0 ? 1 : number;
}

void tune_tcp(int fd) {
  const auto set = [fd](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
}

}  // namespace t2
