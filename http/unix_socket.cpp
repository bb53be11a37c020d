#include "http/unix_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace t2 {
namespace {

error failed(const std::filesystem::path& path, const char* what,
             ec code = ec::io) {
  return {code, path.string() + ": " + what + ": " + std::strerror(errno)};
}

// While it is being made the socket has a longer name: `.`, a process id.
constexpr std::size_t room_for_suffix = 12;

result<sockaddr_un> address_of(const std::filesystem::path& path,
                               std::size_t spare) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  const std::size_t most = sizeof address.sun_path - 1 - spare;
  if (text.empty() || text.size() > most) {
    return error{ec::invalid_argument,
                 "socket '" + text + "': expected a path of 1 to " +
                     std::to_string(most) + " bytes, found " +
                     std::to_string(text.size())};
  }
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  return address;
}

int open_socket() {
  return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/// No error: there is nothing at `path` that must stay.
result<void> check_replaceable(const std::filesystem::path& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return failed(path, "cannot look at it");
  }
  if (!S_ISSOCK(found.st_mode)) {
    return error{ec::already_exists,
                 path.string() +
                     ": expected a socket or nothing, found "
                     "another kind of file"};
  }
  const auto fd = connect_unix_socket(path);
  if (fd) {
    ::close(*fd);
    return error{ec::busy, path.string() + ": a server listens there already"};
  }
  if (fd.error().code == ec::unavailable || fd.error().code == ec::not_found) {
    return {};
  }
  return fd.error();
}

}  // namespace

result<unix_listener> unix_listener::bind(const std::filesystem::path& path) {
  if (auto fits = address_of(path, room_for_suffix); !fits) {
    return fits.error();
  }
  if (auto fine = check_replaceable(path); !fine) return fine.error();
  const std::filesystem::path fresh =
      path.string() + "." + std::to_string(::getpid());
  const auto address = address_of(fresh, 0);
  if (!address) return address.error();
  ::unlink(fresh.c_str());

  unix_listener made;
  made.fd_ = open_socket();
  if (made.fd_ < 0) return failed(path, "cannot open a socket");
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(made.fd_, generic, sizeof *address) != 0) {
    return failed(path, "cannot bind a socket");
  }
  // Nobody can connect before listen(), and nobody knows it before rename().
  struct stat mine {};
  if (::chmod(fresh.c_str(), 0600) != 0 || ::listen(made.fd_, 128) != 0 ||
      ::lstat(fresh.c_str(), &mine) != 0 ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    const auto failure = failed(path, "cannot listen");
    ::unlink(fresh.c_str());
    return failure;
  }
  made.path_ = path;
  made.device_ = mine.st_dev;
  made.inode_ = mine.st_ino;
  return made;
}

unix_listener::unix_listener(unix_listener&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

unix_listener& unix_listener::operator=(unix_listener&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

unix_listener::~unix_listener() {
  if (fd_ >= 0) ::close(fd_);
  struct stat found {};
  if (!path_.empty() && ::lstat(path_.c_str(), &found) == 0 &&
      found.st_dev == device_ && found.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

int unix_listener::release_descriptor() {
  return std::exchange(fd_, -1);
}

result<int> connect_unix_socket(const std::filesystem::path& path) {
  const auto address = address_of(path, 0);
  if (!address) return address.error();
  const int fd = open_socket();
  if (fd < 0) return failed(path, "cannot open a socket");
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (::connect(fd, generic, sizeof *address) == 0) {
    // Anybody may have bound a path under /tmp.
    ucred server{};
    socklen_t size = sizeof server;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &size) == 0 &&
        (server.uid == ::geteuid() || server.uid == 0))
      return fd;
    ::close(fd);
    return error{ec::io, path.string() + ": expected a server of user " +
                             std::to_string(::geteuid()) +
                             ", found one of user " +
                             std::to_string(server.uid)};
  }
  const ec code = errno == ENOENT         ? ec::not_found
                  : errno == ECONNREFUSED ? ec::unavailable
                                          : ec::io;
  const auto failure = failed(path, "cannot connect", code);
  ::close(fd);
  return failure;
}

}  // namespace t2
