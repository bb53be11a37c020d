#include "tools/interrupt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

namespace t2 {
namespace {

// A signal handler can reach nothing but what has static storage.
std::array<int, 2> ends = {-1, -1};
volatile sig_atomic_t came = 0;

extern "C" void on_signal(int number) {
  const int kept = errno;
  if (came != 0) ::_exit(128 + number);
  came = number;
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(ends[1], &byte, 1);
  errno = kept;
}

}  // namespace

interrupt::interrupt() {
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

int interrupt::descriptor() const {
  return ends[0];
}
int interrupt::signal() const {
  return came;
}

bool interrupt::wait(int milliseconds) const {
  using clock = std::chrono::steady_clock;
  const auto end = clock::now() + std::chrono::milliseconds(milliseconds);
  pollfd readable{ends[0], POLLIN, 0};
  for (int left = milliseconds;;) {
    const int ready = ::poll(&readable, 1, left);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (milliseconds < 0) continue;
    const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - clock::now());
    if (rest.count() <= 0) return false;
    left = static_cast<int>(rest.count());
  }
}

}  // namespace t2
