#include "config/text_file.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "config/byte_size.hpp"

namespace t2 {

result<std::string> read_text_file(const std::filesystem::path& file,
                                   std::int64_t most) {
  const auto refused = [&](const char* why) {
    return error{ec::io,
                 file.string() + ": expected a readable file, found: " + why};
  };
  std::error_code failure;
  const auto status = std::filesystem::status(file, failure);
  if (!std::filesystem::exists(status)) {
    return error{ec::not_found,
                 file.string() + ": expected a file, found none"};
  }
  if (std::filesystem::is_directory(status)) return refused("a directory");
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (!in) return refused(std::strerror(errno));
  // Read rather than asked for its size: it may be a pipe.
  std::string text;
  std::string block(static_cast<std::size_t>(64 * kibibyte), '\0');
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    text.append(block.data(), static_cast<std::size_t>(in.gcount()));
    if (static_cast<std::int64_t>(text.size()) > most) {
      return error{ec::exhausted, file.string() + ": expected at most " +
                                      print_byte_size(most) + ", found more"};
    }
  }
  if (in.bad()) return refused(std::strerror(errno));
  return text;
}

}  // namespace t2
