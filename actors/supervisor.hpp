#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/expert_trainer.hpp"
#include "actors/kept_promise.hpp"
#include "actors/protocol.hpp"
#include "actors/restart_policy.hpp"

namespace t2 {

/// How each actor of the tree is started, the first time and again.
struct supervision_options {
  std::function<expert_store_actor(caf::actor_system&)> spawn_store;
  std::function<generation_engine_actor(caf::actor_system&)> spawn_engine;
  std::function<prompt_classifier_actor(caf::actor_system&)> spawn_classifier;
  std::function<task_dispatcher_actor(caf::actor_system&)> spawn_dispatcher;
  std::function<expert_trainer_actor(caf::actor_system&, training_assignment)>
      spawn_trainer;
  restart_limits limits;  // of each actor
  std::size_t trainings = 4;  // at once
};

/// The root of the tree. Children start in the order store, engine, classifier,
/// dispatcher and stop in the opposite one; each is restarted alone, and all
/// hear where the new one is. A child that fails too often is given up: the
/// process is then unhealthy and refuses work. Trainers are not restarted:
/// their caller hears the error and may resume from the checkpoint.
class supervisor_state {
 public:
  static inline const char* name = "supervisor";
  using pointer = supervisor_actor::pointer;

  explicit supervisor_state(pointer self) : self_(self) {}
  supervisor_actor::behavior_type make_behavior(supervision_options options,
                                                front_desk_actor front);

 private:
  enum class role { store, engine, classifier, dispatcher };
  static constexpr role roles[] = {role::store, role::engine, role::classifier,
                                   role::dispatcher};
  static std::string name_of(role r);

  void start(role r);
  void down(const caf::down_msg& message);
  void child_down(role r, const caf::error& reason);
  caf::actor_addr address_of(role r) const;
  void vacate(role r);
  void tell_peers();
  void watch_model();
  void health(kept_promise<health_report> promise);

  void train(ticket t, const training_spec_ref& spec,
             const train_sink_ref& sink);

  void stop(std::chrono::milliseconds grace, kept_promise<bool> promise);
  void cancel_all();
  void close_when_idle();
  void close_next();

  pointer self_;
  supervision_options options_;
  front_desk_actor front_;
  peers now_;
  std::map<role, restart_policy> policies_;
  std::map<ticket, expert_trainer_actor> trainers_;
  std::string model_state_ = "loading";
  model_card_ref card_;
  std::uint64_t restarts_ = 0;
  bool damaged_ = false;  // files of the model have changed under the engine

  bool stopping_ = false;
  bool drained_ = false;
  bool closing_ = false;
  std::vector<kept_promise<bool>> stopped_;
};

using supervisor =
    caf::stateful_actor<supervisor_state, supervisor_actor::base>;

supervisor_actor::behavior_type run_supervisor(supervisor* self,
                                               supervision_options options,
                                               front_desk_actor front);

}  // namespace t2
