#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/result.hpp"

namespace t2 {

/// Who holds a store.
struct store_holder {
  int pid = 0;                // 0: it has not said so yet
  std::string socket_path{};  // empty: not a daemon
};

/// The lock of a store on `<store>.lock`: one writing process, or any number
/// of reading ones. It belongs to the open file, so the operating system
/// releases it however the process ends; the file stays. Two locks in one
/// process exclude each other too.
class store_lock {
 public:
  enum class kind { exclusive, shared };

  /// Takes the lock or returns ec::busy at once; the message names the
  /// holder's pid and socket. An exclusive holder's pid and `socket_path` (one
  /// line) are written into the lock. Symbolic links in `store` are followed,
  /// so that a store has one lock whatever it is called.
  static result<store_lock> acquire(const std::filesystem::path& store,
                                    kind wanted,
                                    const std::string& socket_path = {});

  /// The process that holds the store exclusively at this moment, if any: how
  /// a program finds the daemon. Takes nothing.
  static std::optional<store_holder> holder(const std::filesystem::path& store);

  store_lock(store_lock&& other) noexcept;
  store_lock& operator=(store_lock&& other) noexcept;
  ~store_lock();

 private:
  explicit store_lock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace t2
