#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>

#include "actors/kept_promise.hpp"
#include "actors/memory_return.hpp"
#include "actors/protocol.hpp"
#include "actors/search_run.hpp"
#include "actors/task_dispatcher.hpp"

namespace t2 {

/// One running search: fetches the experts, has the engine make their pool,
/// then carries work from the search to the engine and results back until the
/// search says done, and stores what was found. Ends with the first error.
class adaptation_search_state {
 public:
  static inline const char* name = "adaptation_search";
  using pointer = adaptation_search_actor::pointer;

  explicit adaptation_search_state(pointer self) : self_(self) {}
  /// Whatever still runs in the engine for this search is cancelled.
  ~adaptation_search_state();
  adaptation_search_actor::behavior_type make_behavior(
      search_assignment assignment, reward_options rewards);

 private:
  void fetch_experts();
  void make_pool(const std::vector<store_expert_version>& versions);
  void run(std::function<bool(language_model&)> work);
  void advance();
  void go_on();
  void conclude();
  void settle();
  void score(const score_work& work);
  void generate(const generate_work& work);
  void store();
  void report();
  void end(result<store_adaptation> outcome);
  auto failing(const char* whom);

  memory_return behind_all_;
  pointer self_;
  search_assignment assignment_;
  std::shared_ptr<search_run> run_;
  kept_promise<store_adaptation> promise_;
  // What is asked of the engine is wanted no more; what is known decides.
  bool concluding_ = false;
  bool engine_works_ = false;
};

using adaptation_search =
    caf::stateful_actor<adaptation_search_state, adaptation_search_actor::base>;

adaptation_search_actor::behavior_type run_adaptation_search(
    adaptation_search* self, search_assignment assignment,
    reward_options rewards);

}  // namespace t2
