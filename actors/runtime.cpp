#include "actors/runtime.hpp"

#include <caf/logger.hpp>

#include <utility>

#include "actors/adaptation_search.hpp"
#include "actors/expert_trainer.hpp"
#include "actors/front_desk.hpp"
#include "actors/prompt_classifier.hpp"
#include "actors/task_dispatcher.hpp"

namespace t2 {

actor_configuration::actor_configuration() {
  add_message_types<caf::id_block::t2_actors>();
  add_error_category(caf::atom("t2"),
                     [](std::uint8_t code, caf::atom_value,
                        const caf::message& context) {
                       return render_error(code, context);
                     });
  set("scheduler.max-threads", 2);
}

supervision_options make_tree(const runtime_options& options,
                              store_opener open_store,
                              engine_loader load_engine) {
  supervision_options tree;
  const reward_options rewards = options.rewards;
  tree.spawn_store = [open_store, rewards](caf::actor_system& system) {
    return system.spawn<caf::detached>(run_expert_store, open_store, rewards);
  };
  tree.spawn_engine = [load_engine](caf::actor_system& system) {
    return system.spawn<caf::detached>(run_generation_engine, load_engine);
  };
  std::vector<query_label> labels;
  for (const std::string& text : options.route.labels)
    labels.push_back(parse_label(text));
  tree.spawn_classifier = [](caf::actor_system& system) {
    // It reads texts, which may take a second each.
    return system.spawn<caf::detached>(run_prompt_classifier);
  };
  dispatcher_options dispatcher;
  dispatcher.running = static_cast<std::size_t>(options.engine.max_sequences);
  dispatcher.waiting = static_cast<std::size_t>(options.server.queue);
  dispatcher.deadline = options.server.deadline;
  dispatcher.share_prefixes = options.server.share_prefixes;
  dispatcher.strategy = options.route.strategy;
  dispatcher.classifier = options.route.classifier;
  dispatcher.confidence = options.route.confidence;
  dispatcher.labels = labels;
  tree.spawn_dispatcher = [dispatcher, rewards](caf::actor_system& system) {
    dispatcher_options own = dispatcher;
    own.spawn_search = [&system,
                        rewards](const search_assignment& assignment) {
      return system.spawn(run_adaptation_search, assignment, rewards);
    };
    return system.spawn(run_task_dispatcher, own);
  };
  tree.spawn_trainer = [rewards, labels,
                        store = options.store.path](
                           caf::actor_system& system,
                           training_assignment assignment) {
    assignment.rewards = rewards;
    assignment.labels = labels;
    assignment.checkpoints = store + ".trainings";
    return system.spawn<caf::detached>(run_expert_trainer,
                                       std::move(assignment));
  };
  return tree;
}

runtime::runtime(supervision_options tree)
    : system(configuration),
      front(system.spawn(run_front_desk)),
      root(system.spawn(run_supervisor, std::move(tree), front)) {
  // CAF leaves a reference to its logger with the thread that constructs, and
  // waits for it when another one destructs.
  caf::logger::set_current_actor_system(nullptr);
}

}  // namespace t2
