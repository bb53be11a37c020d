#include "tools/answer_log.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace t2 {
namespace {

error failed(const std::filesystem::path& file, const char* what) {
  return {ec::io, file.string() + ": " + what + ": " + std::strerror(errno)};
}

std::string key_of(const ordered_json& line) {
  const auto target = line.find("target");
  return answer_log::key_of(line.at("id").get<std::string>(),
                            target != line.end() && target->is_string()
                                ? target->get<std::string>()
                                : std::string{});
}

}  // namespace

// Neither may have control characters.
std::string answer_log::key_of(const std::string& id,
                               const std::string& target) {
  return target.empty() ? id : id + "\n" + target;
}

result<answer_log> answer_log::open(const std::filesystem::path& file) {
  answer_log made;
  made.file_ = file;
  made.fd_ =
      ::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (made.fd_ < 0) return failed(file, "cannot open");
  if (::flock(made.fd_, LOCK_EX | LOCK_NB) != 0) {
    return error{ec::busy, file.string() + ": another process writes it"};
  }
  if (auto whole = made.read(); !whole) return whole.error();
  return made;
}

answer_log::answer_log(answer_log&& other) noexcept
    : file_(std::move(other.file_)),
      fd_(std::exchange(other.fd_, -1)),
      lines_(std::move(other.lines_)) {}

answer_log::~answer_log() {
  if (fd_ >= 0) ::close(fd_);
}

result<void> answer_log::read() {
  std::string text;
  std::array<char, 65536> bytes;
  for (;;) {
    const auto got = ::read(fd_, bytes.data(), bytes.size());
    if (got < 0) return failed(file_, "cannot read");
    if (got == 0) break;
    text.append(bytes.data(), static_cast<std::size_t>(got));
  }
  std::size_t whole = 0;  // bytes of whole lines
  for (std::size_t number = 1;; ++number) {
    const auto end = text.find('\n', whole);
    if (end == std::string::npos) break;
    auto line = ordered_json::parse(text.begin() + static_cast<long>(whole),
                                    text.begin() + static_cast<long>(end),
                                    nullptr, false);
    if (!line.is_object() || !line.contains("id") || !line["id"].is_string()) {
      return error{ec::corrupt, file_.string() + ":" + std::to_string(number) +
                                    ": expected an answer with its id, found "
                                    "something else"};
    }
    std::string key = t2::key_of(line);
    lines_[std::move(key)] = std::move(line);
    whole = end + 1;
  }
  if (whole < text.size() && ::ftruncate(fd_, static_cast<off_t>(whole)) != 0) {
    return failed(file_, "cannot cut the torn last line off");
  }
  return {};
}

result<void> answer_log::append(const ordered_json& line) {
  const std::string text = dump_json(line) + "\n";
  const auto written = ::write(fd_, text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    return failed(file_, "cannot write");
  }
  lines_[t2::key_of(line)] = line;
  return {};
}

result<void> answer_log::sync() {
  if (::fdatasync(fd_) != 0) return failed(file_, "cannot sync");
  return {};
}

}  // namespace t2
