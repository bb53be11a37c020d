#include "config/durable_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace t2 {
namespace {

namespace fs = std::filesystem;

constexpr mode_t owner_alone = 0600;

error io_error(std::string_view verb, const fs::path& path, int code) {
  return {code == ENOENT ? ec::not_found : ec::io,
          "cannot " + std::string(verb) + " " + path.string() + ": " +
              std::generic_category().message(code)};
}

class descriptor {
 public:
  descriptor(const fs::path& path, int flags, mode_t mode = 0) {
    do {
      fd_ = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd_ < 0 && errno == EINTR);
  }
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }

  /// Closes and reports: some file systems say only now that a write failed.
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_ = -1;
};

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// Unlinks an unfinished file unless it was renamed away.
class unfinished_file {
 public:
  explicit unfinished_file(fs::path path) : path_(std::move(path)) {}
  ~unfinished_file() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  unfinished_file(const unfinished_file&) = delete;
  unfinished_file& operator=(const unfinished_file&) = delete;

  const fs::path& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  fs::path path_;
};

fs::path unfinished_name(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  return folder_of(path) /
         ("." + path.filename().string() + ".unfinished-" +
          std::to_string(::getpid()) + "-" + std::to_string(counter++));
}

result<void> sync_folder(const fs::path& folder) {
  const descriptor handle(folder, O_RDONLY | O_DIRECTORY);
  if (!handle) return io_error("open folder", folder, errno);
  // Some file systems cannot sync a folder and say EINVAL.
  if (::fsync(handle.get()) != 0 && errno != EINVAL) {
    return io_error("sync folder", folder, errno);
  }
  return {};
}

result<void> rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return io_error("rename " + from.string() + " to", to, errno);
  }
  return sync_folder(folder_of(to));
}

}  // namespace

result<void> write_file_durably(const fs::path& path,
                                std::span<const std::byte> bytes,
                                readable_by whom) {
  if (!path.has_filename()) {
    return error{ec::invalid_argument,
                 "cannot write '" + path.string() + "': not a file's name"};
  }
  // O_EXCL with a fresh name: never through a link that somebody left there.
  fs::path name = unfinished_name(path);
  constexpr int flags = O_WRONLY | O_CREAT | O_EXCL;
  ::unlink(name.c_str());  // of a crashed process that had our number
  const bool is_private = whom == readable_by::owner;
  descriptor file(name, flags, is_private ? owner_alone : 0666);
  if (!file) return io_error("create", name, errno);
  unfinished_file unfinished(std::move(name));
  if (is_private && ::fchmod(file.get(), owner_alone) != 0) {
    return io_error("set the mode of", path, errno);
  }
  while (!bytes.empty()) {
    // Linux writes at most 2 GiB a call.
    const std::size_t asked = std::min<std::size_t>(bytes.size(), 1u << 30);
    const ssize_t written = ::write(file.get(), bytes.data(), asked);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_error("write", path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0) return io_error("sync", path, errno);
  if (!file.close()) return io_error("close", path, errno);
  if (auto placed = rename_durably(unfinished.path(), path); !placed) {
    return placed;
  }
  unfinished.keep();
  return {};
}

result<void> write_file_durably(const fs::path& path, std::string_view text,
                                readable_by whom) {
  return write_file_durably(
      path, std::as_bytes(std::span(text.data(), text.size())), whom);
}

result<void> create_private_file(const fs::path& path) {
  const descriptor file(path, O_WRONLY | O_CREAT | O_EXCL, owner_alone);
  if (!file) return io_error("create", path, errno);
  if (::fchmod(file.get(), owner_alone) != 0) {
    return io_error("set the mode of", path, errno);
  }
  return {};
}

result<bool> make_private(const fs::path& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return false;
    return io_error("look at", path, errno);
  }
  if ((found.st_mode & 077) == 0) return false;
  if (::chmod(path.c_str(), found.st_mode & 0700) != 0) {
    return io_error("set the mode of", path, errno);
  }
  return true;
}

result<void> place_file_durably(const fs::path& from, const fs::path& to) {
  const descriptor file(from, O_RDONLY);
  if (!file) return io_error("open", from, errno);
  if (::fsync(file.get()) != 0) return io_error("sync", from, errno);
  return rename_durably(from, to);
}

result<std::string> read_file(const fs::path& path, std::size_t max_bytes) {
  // O_NONBLOCK: opening a pipe that nobody writes must not hang.
  const descriptor file(path, O_RDONLY | O_NONBLOCK);
  if (!file) return io_error("open", path, errno);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return io_error("stat", path, errno);
  if (!S_ISREG(about.st_mode)) {
    return error{ec::io,
                 "cannot read " + path.string() + ": expected a regular file"};
  }
  const auto too_large = [&] {
    return error{ec::exhausted, path.string() + ": expected at most " +
                                    std::to_string(max_bytes) +
                                    " bytes, found more"};
  };
  const auto size = static_cast<std::uintmax_t>(about.st_size);
  if (size > max_bytes) return too_large();
  // One byte more than promised tells a file that grows from one that ended.
  std::string content;
  std::size_t filled = 0;
  for (;;) {
    content.resize(std::max<std::size_t>(filled + 4096, size + 1));
    const ssize_t got =
        ::read(file.get(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error("read", path, errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    if (filled > max_bytes) return too_large();
  }
  content.resize(filled);
  return content;
}

}  // namespace t2
