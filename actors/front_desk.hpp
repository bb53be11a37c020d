#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "actors/pending_reply.hpp"
#include "actors/protocol.hpp"

namespace t2 {

class front_desk_state;

/// A call of client.hpp on its way to the actors: what to do at the front
/// desk. Dropped undone, its callbacks hear ec::unavailable.
class front_call {
 public:
  explicit front_call(std::function<void(front_desk_state&)> work)
      : work_(std::move(work)) {}
  void operator()(front_desk_state& desk) const { work_(desk); }

 private:
  std::function<void(front_desk_state&)> work_;
};

/// The one actor that programs talk to: it knows where the others are, asks
/// them, and calls back. At most `limit` calls are under way at once; the next
/// hears ec::busy.
class front_desk_state {
 public:
  static inline const char* name = "front_desk";
  using pointer = front_desk_actor::pointer;
  static constexpr std::size_t limit = 1024;

  explicit front_desk_state(pointer self) : self_(self) {}
  front_desk_actor::behavior_type make_behavior();

  /// The others; null before the supervisor has told.
  const peers_ref& others() const { return peers_; }

  /// Asks one of the others; `reply` hears the response or why there is none.
  template <class Response, class Handle, class... Args>
  void ask(Handle peers::*whom, pending_reply_ref<Response> reply,
           Args&&... args);

  /// Tells one of the others; false when it is not there.
  template <class Handle, class... Args>
  bool tell(Handle peers::*whom, Args&&... args) {
    if (!peers_ || !((*peers_).*whom)) return false;
    self_->send((*peers_).*whom, std::forward<Args>(args)...);
    return true;
  }

  /// Why a part of t2 cannot be asked.
  error absent() const;

  pointer self() const { return self_; }

 private:
  pointer self_;
  peers_ref peers_;
  std::vector<front_call_ref> early_;  // calls before others() is known
  std::size_t under_way_ = 0;
};

using front_desk =
    caf::stateful_actor<front_desk_state, front_desk_actor::base>;

front_desk_actor::behavior_type run_front_desk(front_desk* self);

template <class Response, class Handle, class... Args>
void front_desk_state::ask(Handle peers::*whom,
                           pending_reply_ref<Response> reply, Args&&... args) {
  if (!peers_ || !((*peers_).*whom)) return (*reply)(absent());
  if (under_way_ >= limit) {
    return (*reply)(error{ec::busy, std::to_string(under_way_) +
                                        " calls are under way; try later"});
  }
  ++under_way_;
  self_->request((*peers_).*whom, caf::infinite, std::forward<Args>(args)...)
      .then(
          [this, reply](const Response& response) {
            --under_way_;
            (*reply)(response);
          },
          [this, reply](const caf::error& e) {
            --under_way_;
            (*reply)(from_caf(e, "a part of t2"));
          });
}

}  // namespace t2
