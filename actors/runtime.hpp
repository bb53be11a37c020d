#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "actors/expert_store_actor.hpp"
#include "actors/generation_engine.hpp"
#include "actors/protocol.hpp"
#include "actors/supervisor.hpp"
#include "config/options.hpp"

namespace t2 {

/// CAF as t2 wants it: its own error category, few threads (whatever blocks has
/// one of its own), no files or flags read.
struct actor_configuration : caf::actor_system_config {
  actor_configuration();
};

/// The tree that the options describe: how each actor is started.
supervision_options make_tree(const runtime_options& options,
                              store_opener open_store,
                              engine_loader load_engine);

/// The actors of one process. Destroying it waits until all have ended: have
/// the supervisor stop first.
struct runtime {
  explicit runtime(supervision_options tree);

  actor_configuration configuration;
  caf::actor_system system;
  front_desk_actor front;
  supervisor_actor root;
};

}  // namespace t2
