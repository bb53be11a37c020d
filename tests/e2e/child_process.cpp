#include "tests/e2e/child_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>

namespace t2::test {
namespace {

using steady = std::chrono::steady_clock;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

child_process::child_process(const std::vector<std::string>& arguments,
                             const variables& environment,
                             const std::string& input) {
  std::vector<std::string> words = arguments;
  std::vector<std::string> settings;
  for (const auto& [name, value] : environment) {
    settings.push_back(name + "=" + value);
  }
  const auto argv = pointers(words);
  const auto envp = pointers(settings);
  std::array<int, 2> in, out, err;
  if (::pipe2(in.data(), O_CLOEXEC) != 0 ||
      ::pipe2(out.data(), O_CLOEXEC) != 0 ||
      ::pipe2(err.data(), O_CLOEXEC) != 0) {
    std::abort();
  }
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  ::close(err[1]);
  // A pipe holds 64 KiB: more than any test has to say.
  EXPECT_EQ(::write(in[1], input.data(), input.size()),
            static_cast<ssize_t>(input.size()));
  ::close(in[1]);
  out_fd_ = out[0];
  err_fd_ = err[0];
}

child_process::~child_process() {
  if (!ended_) {
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
  }
  if (out_fd_ >= 0) ::close(out_fd_);
  if (err_fd_ >= 0) ::close(err_fd_);
}

void child_process::send(int signal) const {
  ::kill(pid_, signal);
}

bool child_process::read_more(int milliseconds) {
  std::array<pollfd, 2> both{{{out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}}};
  ::poll(both.data(), both.size(), milliseconds);
  const auto take = [](const pollfd& ready, int& fd, std::string& into) {
    if (fd < 0 || ready.revents == 0) return;
    std::array<char, 4096> bytes;
    const auto got = ::read(fd, bytes.data(), bytes.size());
    if (got > 0) {
      into.append(bytes.data(), static_cast<std::size_t>(got));
    } else {
      ::close(fd);
      fd = -1;
    }
  };
  take(both[0], out_fd_, out_);
  take(both[1], err_fd_, err_);
  return out_fd_ >= 0 || err_fd_ >= 0;
}

bool child_process::wait_for(const std::string& text) {
  // A sanitizer and a busy machine may each make it several times slower.
  const auto end = steady::now() + std::chrono::minutes(5);
  const auto said = [&] {
    return err_.find(text) != std::string::npos ||
           out_.find(text) != std::string::npos;
  };
  while (!said() && steady::now() < end) {
    if (!read_more(100)) break;
  }
  return said();
}

int child_process::wait() {
  const auto end = steady::now() + std::chrono::minutes(10);
  while (read_more(1000)) {
    if (steady::now() > end) {
      ADD_FAILURE() << "the program does not end; it said: " << out_ << err_;
      ::kill(pid_, SIGKILL);
    }
  }
  if (!ended_) {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ended_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return *ended_;
}

}  // namespace t2::test
