#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "http/unix_socket.hpp"

namespace t2::test {

/// A peer that says whatever bytes a test wants.
class raw_peer {
 public:
  explicit raw_peer(const std::filesystem::path& socket) {
    const auto fd = connect_unix_socket(socket);
    fd_ = fd ? *fd : -1;
  }
  /// On 127.0.0.1.
  explicit raw_peer(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    const int at_once = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    if (::connect(fd_, generic, sizeof address) != 0) close();
  }
  ~raw_peer() { close(); }
  raw_peer(const raw_peer&) = delete;
  raw_peer& operator=(const raw_peer&) = delete;

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  bool connected() const { return fd_ >= 0; }

  /// False: the server has closed.
  bool say(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Whether something comes within so many milliseconds.
  bool can_hear(int milliseconds) const {
    pollfd ready{fd_, POLLIN, 0};
    return ::poll(&ready, 1, milliseconds) == 1;
  }

  /// Everything until the server closes (or is silent for 20 s).
  std::string hear_all() {
    while (hear_more()) {
    }
    return heard_;
  }

  /// Everything until `text` has come; then the rest stays for the next call.
  std::string hear_until(std::string_view text) {
    std::size_t at = 0;
    while ((at = heard_.find(text)) == std::string::npos) {
      if (!hear_more()) return std::exchange(heard_, {});
    }
    const std::string until = heard_.substr(0, at + text.size());
    heard_.erase(0, at + text.size());
    return until;
  }

  /// At most so many bytes, kept nowhere; 0: the server has closed.
  std::size_t hear_some(std::size_t most) const {
    std::string bytes(most, '\0');
    const auto got = ::recv(fd_, bytes.data(), bytes.size(), 0);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
  }

 private:
  bool hear_more() {
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, 20'000) != 1) return false;
    std::array<char, 4096> bytes;
    const auto got = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    heard_.append(bytes.data(), static_cast<std::size_t>(got));
    return true;
  }

  int fd_ = -1;
  std::string heard_;
};

}  // namespace t2::test
