#include "tools/line_reader.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace t2 {

result<std::optional<std::string>> line_reader::next() {
  for (;;) {
    const auto end = rest_.find('\n');
    if (end != std::string::npos) {
      std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return std::optional(std::move(line));
    }
    if (ended_) {
      if (rest_.empty()) return std::optional<std::string>();
      return std::optional(std::exchange(rest_, {}));
    }
    std::array<pollfd, 2> both{
        {{descriptor_, POLLIN, 0}, {interrupt_, POLLIN, 0}}};
    if (::poll(both.data(), both.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return error{ec::io,
                   std::string("standard input: ") + std::strerror(errno)};
    }
    if (both[1].revents != 0) return error{ec::cancelled, "interrupted"};
    std::array<char, 4096> bytes;
    const auto got = ::read(descriptor_, bytes.data(), bytes.size());
    if (got > 0) rest_.append(bytes.data(), static_cast<std::size_t>(got));
    if (got == 0) ended_ = true;
    if (got < 0 && errno != EINTR && errno != EAGAIN) {
      return error{ec::io,
                   std::string("standard input: ") + std::strerror(errno)};
    }
  }
}

}  // namespace t2
