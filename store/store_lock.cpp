#include "store/store_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

namespace t2 {
namespace {

namespace fs = std::filesystem;

// A lock of the open file description (Linux): released with its last
// descriptor, and it can be asked about without being taken.
struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

fs::path lock_path(const fs::path& store) {
  std::error_code ignored;
  fs::path path = fs::weakly_canonical(fs::absolute(store, ignored), ignored);
  if (path.empty()) path = store;
  path += ".lock";
  return path;
}

store_holder read_holder(int fd) {
  std::array<char, 4096> content;
  const ssize_t size = ::pread(fd, content.data(), content.size(), 0);
  if (size <= 0) return {};
  const std::string_view text(content.data(), static_cast<std::size_t>(size));
  store_holder holder;
  const auto line = text.find('\n');
  if (line == text.npos) return {};
  std::from_chars(text.data(), text.data() + line, holder.pid);
  const auto rest = text.substr(line + 1);
  holder.socket_path = rest.substr(0, rest.find('\n'));
  return holder;
}

error busy(const fs::path& store, int fd) {
  const store_holder holder = read_holder(fd);
  std::string who = "another process";
  if (holder.pid != 0) who = "process " + std::to_string(holder.pid);
  if (!holder.socket_path.empty())
    who += ", listening on " + holder.socket_path;
  return {ec::busy, "store " + store.string() + " is in use by " + who};
}

error io_error(std::string_view verb, const fs::path& path, int code) {
  return {ec::io, "cannot " + std::string(verb) + " " + path.string() + ": " +
                      std::generic_category().message(code)};
}

bool write_holder(int fd, const std::string& text) {
  return ::ftruncate(fd, 0) == 0 && ::pwrite(fd, text.data(), text.size(), 0) ==
                                        static_cast<ssize_t>(text.size());
}

}  // namespace

result<store_lock> store_lock::acquire(const fs::path& store, kind wanted,
                                       const std::string& socket_path) {
  if (socket_path.find('\n') != std::string::npos) {
    return error{ec::invalid_argument,
                 "socket path '" + socket_path + "': expected one line"};
  }
  const fs::path path = lock_path(store);
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 && wanted == kind::shared) {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    // On a read-only medium without a lock nobody ever wrote.
    if (fd < 0 && errno == ENOENT) return store_lock(-1);
  }
  if (fd < 0) return io_error("create", path, errno);
  store_lock lock(fd);
  struct flock request =
      whole_file(wanted == kind::exclusive ? F_WRLCK : F_RDLCK);
  if (::fcntl(fd, F_OFD_SETLK, &request) != 0) {
    if (errno == EACCES || errno == EAGAIN) return busy(store, fd);
    return io_error("lock", path, errno);
  }
  if (wanted == kind::exclusive &&
      !write_holder(fd,
                    std::to_string(::getpid()) + "\n" + socket_path + "\n")) {
    return io_error("write", path, errno);
  }
  return lock;
}

std::optional<store_holder> store_lock::holder(const fs::path& store) {
  const int fd = ::open(lock_path(store).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const store_lock closed_on_return(fd);
  // Only an exclusive lock stands in a reader's way.
  struct flock question = whole_file(F_RDLCK);
  if (::fcntl(fd, F_OFD_GETLK, &question) != 0) return {};
  if (question.l_type == F_UNLCK) return {};
  return read_holder(fd);
}

store_lock::store_lock(store_lock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

store_lock& store_lock::operator=(store_lock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

store_lock::~store_lock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace t2
