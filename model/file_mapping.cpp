#include "model/file_mapping.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace t2 {
namespace {

error system_error(const std::filesystem::path& path, const char* call) {
  const auto code = errno == ENOENT ? ec::not_found : ec::io;
  return {code, path.string() + ": " + call + ": " + std::strerror(errno)};
}

/// A file descriptor closed at the end of its scope.
struct descriptor {
  int number;
  ~descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

result<std::shared_ptr<const file_mapping>> file_mapping::open(
    const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const descriptor file{
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) return system_error(path, "open");
  struct stat status {};
  if (::fstat(file.number, &status) != 0) return system_error(path, "fstat");
  if (!S_ISREG(status.st_mode))
    return error{ec::invalid_argument, path.string() +
                                           ": expected a regular file, found "
                                           "something else"};
  const auto size = static_cast<std::size_t>(status.st_size);
  void* data = nullptr;
  if (size > 0) {  // an empty mapping is an error to mmap
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
    if (data == MAP_FAILED) return system_error(path, "mmap");
  }
  return std::shared_ptr<const file_mapping>{
      new file_mapping{static_cast<const std::byte*>(data), size,
                       path.string(), file_state::of(status)}};
}

void file_mapping::forget_pages() const {
  // Private and never written: they are read again from the file.
  if (data_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

file_mapping::~file_mapping() {
  mapping_table::remove(*this);
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace t2
