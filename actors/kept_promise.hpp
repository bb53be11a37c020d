#pragma once

#include <caf/typed_response_promise.hpp>

#include <string>
#include <utility>

#include "actors/caf_errors.hpp"

namespace t2 {

/// The promise of a response that outlives its handler. CAF leaves a caller
/// waiting for ever when an actor dies with an unkept promise; this one then
/// answers ec::unavailable. Belongs to the actor that made it: keep it in its
/// state, which ends with the actor.
template <class T>
class kept_promise {
 public:
  kept_promise() = default;
  kept_promise(caf::typed_response_promise<T> promise, std::string who)
      : promise_(std::move(promise)), who_(std::move(who)) {}
  kept_promise(kept_promise&& other) noexcept
      : promise_(std::exchange(other.promise_, {})),
        who_(std::move(other.who_)) {}
  kept_promise& operator=(kept_promise&& other) noexcept {
    if (this != &other) {
      abandon();
      promise_ = std::exchange(other.promise_, {});
      who_ = std::move(other.who_);
    }
    return *this;
  }
  ~kept_promise() { abandon(); }

  void keep(result<T> outcome) {
    if (!promise_.pending()) return;
    if (outcome) {
      promise_.deliver(std::move(*outcome));
    } else {
      promise_.deliver(to_caf(outcome.error()));
    }
    promise_ = {};
  }

 private:
  void abandon() {
    if (!promise_.pending()) return;
    promise_.deliver(caf::make_error(
        ec::unavailable, who_ + " ended before it answered"));
    promise_ = {};
  }

  caf::typed_response_promise<T> promise_;
  std::string who_;
};

}  // namespace t2
