#include "actors/front_desk.hpp"

namespace t2 {

error front_desk_state::absent() const {
  if (peers_ && peers_->failed) return *peers_->failed;
  return {ec::unavailable, "a part of t2 is being restarted; try again"};
}

front_desk_actor::behavior_type front_desk_state::make_behavior() {
  return {
      [this](call_atom, const front_call_ref& call) {
        if (peers_) return (*call)(*this);
        if (early_.size() < limit) early_.push_back(call);
      },
      [this](peers_atom, const peers_ref& now) {
        peers_ = now;
        for (const auto& call : std::exchange(early_, {})) (*call)(*this);
      },
  };
}

front_desk_actor::behavior_type run_front_desk(front_desk* self) {
  return self->state.make_behavior();
}

}  // namespace t2
