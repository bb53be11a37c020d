#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "config/result.hpp"

namespace t2 {

/// The callbacks of one request: any number of parts, then exactly one final
/// result. Whoever works on the request holds it; when the last of them goes
/// without a result (its actor died, its message was dropped), the final
/// callback hears ec::unavailable. Any thread; callbacks never overlap, and no
/// part comes after the final result.
template <class Part, class Final>
class stream_sink {
 public:
  stream_sink(std::function<void(Part)> on_part,
              std::function<void(result<Final>)> on_final, std::string what)
      : on_part_(std::move(on_part)),
        on_final_(std::move(on_final)),
        what_(std::move(what)) {}
  stream_sink(const stream_sink&) = delete;
  stream_sink& operator=(const stream_sink&) = delete;
  ~stream_sink() {
    finish(error{ec::unavailable,
                 what_ + " was lost: the part of t2 that had it has ended"});
  }

  void part(Part value) const {
    const std::lock_guard lock(mutex_);
    if (on_final_ && on_part_) on_part_(std::move(value));
  }

  /// False when it was finished before.
  bool finish(result<Final> outcome) const {
    std::function<void(result<Final>)> last;
    {
      const std::lock_guard lock(mutex_);
      last = std::exchange(on_final_, nullptr);
    }
    if (!last) return false;
    last(std::move(outcome));
    return true;
  }

 private:
  // Recursive: a callback may hold the last reference to its own sink.
  mutable std::recursive_mutex mutex_;
  std::function<void(Part)> on_part_;
  mutable std::function<void(result<Final>)> on_final_;
  std::string what_;
};

}  // namespace t2
