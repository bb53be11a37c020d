#pragma once

#include <chrono>
#include <map>
#include <mutex>

#include "actors/client.hpp"

namespace t2 {

/// How long the engine has worked in the background for each ticket: the time
/// that its thread was given by the system for it (model/engine.hpp). Any thread.
class work_meters {
 public:
  void add(ticket t, std::chrono::nanoseconds spent) {
    const std::lock_guard lock(mutex_);
    spent_[t] += spent;
  }
  std::chrono::nanoseconds of(ticket t) const {
    const std::lock_guard lock(mutex_);
    const auto at = spent_.find(t);
    return at == spent_.end() ? std::chrono::nanoseconds{0} : at->second;
  }
  void forget(ticket t) {
    const std::lock_guard lock(mutex_);
    spent_.erase(t);
  }

 private:
  mutable std::mutex mutex_;
  std::map<ticket, std::chrono::nanoseconds> spent_;
};

}  // namespace t2
