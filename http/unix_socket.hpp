#pragma once

#include <cstdint>
#include <filesystem>

#include "config/result.hpp"

namespace t2 {

/// A listening Unix socket and its file, which nobody but its owner may use
/// (mode 0600). Removes the file in the end, unless it is another's by then.
class unix_listener {
 public:
  /// Replaces the file of a server that is gone; ec::busy when one answers,
  /// ec::already_exists when the file is not a socket, ec::invalid_argument
  /// when the path is longer than a socket's may be.
  static result<unix_listener> bind(const std::filesystem::path& path);

  unix_listener(unix_listener&& other) noexcept;
  unix_listener& operator=(unix_listener&& other) noexcept;
  ~unix_listener();

  /// The listening descriptor. Belongs to the caller from then on.
  int release_descriptor();
  const std::filesystem::path& path() const { return path_; }

 private:
  unix_listener() = default;

  int fd_ = -1;
  std::filesystem::path path_;  // empty: moved away
  std::uint64_t device_ = 0, inode_ = 0;
};

/// Connects; the descriptor belongs to the caller. ec::not_found when there is
/// no such file, ec::unavailable when nobody listens, ec::io for the rest.
result<int> connect_unix_socket(const std::filesystem::path& path);

}  // namespace t2
