#include "model/file_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace t2 {
namespace {

/// FNV-1a, 62 bits of it: two names on one byte only wait for each other.
off_t byte_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return static_cast<off_t>(hash >> 2);
}

error system_error(const std::filesystem::path& file, const char* call) {
  return {ec::io, file.string() + ": " + call + ": " + std::strerror(errno)};
}

int open_lock_file(const std::filesystem::path& file) {
  constexpr mode_t mode = 0666;  // the umask narrows it
  return ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, mode);
}

/// `command`: F_OFD_SETLKW to wait, F_OFD_SETLK not to. 0 when it is ours.
int lock_byte(int descriptor, int command, std::string_view name,
              file_lock::kind which) {
  struct flock range {};
  range.l_type = which == file_lock::kind::shared ? F_RDLCK : F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = byte_of(name);
  range.l_len = 1;
  return ::fcntl(descriptor, command, &range);
}

}  // namespace

result<file_lock> file_lock::take(const std::filesystem::path& file,
                                  std::string_view name, kind which) {
  file_lock lock{open_lock_file(file)};
  if (lock.descriptor_ < 0) return system_error(file, "open");
  while (lock_byte(lock.descriptor_, F_OFD_SETLKW, name, which) != 0)
    if (errno != EINTR) return system_error(file, "lock");
  return lock;
}

result<std::optional<file_lock>> file_lock::try_take(
    const std::filesystem::path& file, std::string_view name, kind which) {
  file_lock lock{open_lock_file(file)};
  if (lock.descriptor_ < 0) return system_error(file, "open");
  if (lock_byte(lock.descriptor_, F_OFD_SETLK, name, which) == 0)
    return std::optional<file_lock>{std::move(lock)};
  if (errno == EAGAIN || errno == EACCES) return std::optional<file_lock>{};
  return system_error(file, "lock");
}

file_lock& file_lock::operator=(file_lock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

file_lock::~file_lock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace t2
