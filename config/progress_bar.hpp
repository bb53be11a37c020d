#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <ostream>
#include <string>

namespace t2 {

/// One line that is redrawn in place: label, bar, count, rate, time left.
/// Draws on a live terminal only and writes nothing elsewhere. One thread.
class progress_bar {
 public:
  using clock = std::function<std::chrono::steady_clock::time_point()>;

  struct settings {
    std::string label = {};
    std::size_t total = 0;  // 0: unknown, a count without a bar
    std::string unit = {};  // `queries`
    bool live = false;      // is_terminal() of what `out` writes to
    std::size_t width = 80;
    clock now = std::chrono::steady_clock::now;
  };

  progress_bar(std::ostream& out, settings chosen);
  /// Ends the line if it was drawn.
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// `done` of the total are done; `note` follows the numbers. Redraws at most
  /// ten times a second, and always the last.
  void show(std::size_t done, std::string_view note = {});

  /// Leaves the line as it stands and goes to the next; safe to call twice.
  void finish();

 private:
  void draw(std::size_t done, std::string_view note);

  std::ostream& out_;
  settings settings_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point drawn_at_ = {};
  std::size_t first_ = 0;  // already done at the first call, as when resumed
  bool counted_ = false;
  bool drawn_ = false;
  bool finished_ = false;
};

}  // namespace t2
