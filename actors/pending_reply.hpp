#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "config/result.hpp"

namespace t2 {

/// A callback that is called exactly once: with a result, or with
/// ec::unavailable when the last owner goes without one. One owner at a time
/// calls it.
template <class T>
class pending_reply {
 public:
  explicit pending_reply(std::function<void(result<T>)> done)
      : done_(std::move(done)) {}
  pending_reply(const pending_reply&) = delete;
  pending_reply& operator=(const pending_reply&) = delete;
  ~pending_reply() {
    (*this)(error{ec::unavailable, "t2 has stopped before it answered"});
  }

  void operator()(result<T> outcome) {
    if (auto done = std::exchange(done_, nullptr)) done(std::move(outcome));
  }

 private:
  std::function<void(result<T>)> done_;
};

template <class T>
using pending_reply_ref = std::shared_ptr<pending_reply<T>>;

}  // namespace t2
