#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <optional>
#include <string>

#include "actors/protocol.hpp"
#include "config/options.hpp"
#include "store/expert_store.hpp"

namespace t2 {

/// Opens the store; runs once, on the actor's thread.
using store_opener = std::function<result<expert_store>()>;

/// Detached. Everything it answers to a change is durable when it is heard. An
/// actor whose store cannot be opened ends with the reason. Its end closes the
/// store and releases the lock.
class expert_store_actor_state {
 public:
  static inline const char* name = "expert_store";
  using pointer = expert_store_actor::pointer;

  explicit expert_store_actor_state(pointer self) : self_(self) {}
  /// `rewards`: the operator's, by which tasks are checked.
  expert_store_actor::behavior_type make_behavior(const store_opener& open,
                                                  reward_options rewards);

 private:
  /// The store, for a change that this caller asks for.
  expert_store& acting_for(const std::string& caller);

  pointer self_;
  std::optional<expert_store> store_;
  reward_options rewards_;
};

using stateful_expert_store =
    caf::stateful_actor<expert_store_actor_state, expert_store_actor::base>;

expert_store_actor::behavior_type run_expert_store(stateful_expert_store* self,
                                                   store_opener open,
                                                   reward_options rewards);

}  // namespace t2
