#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "actors/client.hpp"
#include "actors/runtime.hpp"

namespace t2 {

class front_desk_state;

/// What is behind a client.
struct client::state {
  explicit state(supervision_options tree)
      : actors(std::make_unique<runtime>(std::move(tree))) {}

  ticket next_ticket() { return ++last_ticket; }
  /// Null once stopped.
  front_desk_actor front() {
    const std::shared_lock lock(running);
    return actors ? actors->front : front_desk_actor{};
  }
  /// Has the front desk do `work`; drops it when t2 has stopped.
  void call(std::function<void(front_desk_state&)> work);

  std::atomic<ticket> last_ticket{0};
  std::mutex stopping;        // one stop at a time
  std::shared_mutex running;  // guards `actors`
  std::unique_ptr<runtime> actors;  // null once stopped
};

}  // namespace t2
