#pragma once

namespace t2 {

/// SIGINT and SIGTERM as a file descriptor. One per process, made in `main`
/// before threads; a second signal of either kind ends the process at once.
class interrupt {
 public:
  interrupt();
  interrupt(const interrupt&) = delete;
  interrupt& operator=(const interrupt&) = delete;

  /// Becomes readable with the first signal and stays so.
  int descriptor() const;

  /// The signal that came; 0: none.
  int signal() const;

  /// Until a signal comes; false when `milliseconds` (-1: no limit) are over.
  bool wait(int milliseconds) const;
};

}  // namespace t2
