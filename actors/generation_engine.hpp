#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/engine_work.hpp"
#include "actors/protocol.hpp"
#include "config/options.hpp"
#include "model/model_watch.hpp"

namespace t2 {

struct loaded_engine {
  std::shared_ptr<language_model> model;
  std::unique_ptr<engine> runner;
};

/// Makes the engine; runs once, on the actor's thread.
using engine_loader = std::function<result<loaded_engine>()>;

/// Loads the model that the options name and wraps an engine around it.
engine_loader make_engine_loader(const model_settings& model,
                                 const engine_settings& engine);

/// One per device, detached. Its mailbox and its steps take turns: after each
/// step it sends itself a message for the next one, so that whatever came in
/// meanwhile is seen first; without work it sends none and sleeps. Once a second
/// it looks whether the model's files have changed under it. Whoever waits when
/// a step fails beyond repair, or when they have, hears why, and the actor ends:
/// with ec::corrupt where files have changed, and is then not started again.
class generation_engine_state {
 public:
  static inline const char* name = "generation_engine";
  using pointer = generation_engine_actor::pointer;

  explicit generation_engine_state(pointer self) : self_(self) {}
  generation_engine_actor::behavior_type make_behavior(engine_loader load);

 private:
  result<engine*> loaded();
  model_card_ref describe() const;
  void step();
  void wake();
  void look_at_files();
  void fail(const error& why);

  pointer self_;
  engine_loader load_;
  // Callbacks of the engine reach into the work: it goes last.
  engine_work work_;
  std::shared_ptr<language_model> model_;
  std::unique_ptr<engine> engine_;
  std::optional<model_watch> watch_;
  std::shared_ptr<work_meters> meters_ = std::make_shared<work_meters>();
  error failure_;  // why there is no engine, once load_ has run
  bool stepping_ = false;
};

using generation_engine =
    caf::stateful_actor<generation_engine_state, generation_engine_actor::base>;

generation_engine_actor::behavior_type run_generation_engine(
    generation_engine* self, engine_loader load);

}  // namespace t2
