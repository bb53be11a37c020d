#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>

#include "actors/memory_return.hpp"
#include "actors/protocol.hpp"
#include "adaptation/expert_training.hpp"

namespace t2 {

struct training_assignment {
  ticket id = 0;
  training_spec_ref spec;
  peers_ref others;
  train_sink_ref sink;
  reward_options rewards = {};  // the operator's
  std::vector<query_label> labels = {};  // the configured ones
  std::filesystem::path checkpoints = {};  // of runs that name none
};

/// One training run: reads the data, hands the loop to the engine as a job, and
/// publishes the best expert. A run that is cut short writes its checkpoint,
/// from which the same request goes on.
class expert_trainer_state {
 public:
  static inline const char* name = "expert_trainer";
  using pointer = expert_trainer_actor::pointer;

  explicit expert_trainer_state(pointer self) : self_(self) {}
  /// Whatever still runs in the engine for this run is cancelled.
  ~expert_trainer_state();
  expert_trainer_actor::behavior_type make_behavior(
      training_assignment assignment);

 private:
  void begin(const model_card_ref& card);
  void train(training_spec spec);
  void cancel();
  void stopped(const caf::error& why);
  void publish();
  void end(result<store_expert_version> outcome);
  auto failing(const char* whom);

  memory_return behind_all_;
  pointer self_;
  training_assignment assignment_;
  model_card_ref card_;
  std::shared_ptr<expert_training> training_;
  bool learning_ = false;  // the engine has training_
};

using expert_trainer =
    caf::stateful_actor<expert_trainer_state, expert_trainer_actor::base>;

expert_trainer_actor::behavior_type run_expert_trainer(
    expert_trainer* self, training_assignment assignment);

}  // namespace t2
