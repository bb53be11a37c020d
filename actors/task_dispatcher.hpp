#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/admission_queue.hpp"
#include "actors/kept_promise.hpp"
#include "actors/mixture_cache.hpp"
#include "actors/protocol.hpp"
#include "actors/route_table.hpp"
#include "actors/single_flight.hpp"

namespace t2 {

/// What a search has to know.
struct search_assignment {
  ticket id = 0;
  adaptation_plan_ref plan;
  peers_ref others;
  model_card_ref card;
  task_dispatcher_actor reports_to;
};
using search_spawner =
    std::function<adaptation_search_actor(const search_assignment&)>;

struct dispatcher_options {
  std::size_t running = 64;   // queries in the engine at once
  std::size_t waiting = 256;  // queries that may wait for that
  std::size_t searches = 16;  // at once
  std::chrono::milliseconds deadline{std::chrono::minutes(5)};  // of a query
  std::int64_t mixture_bytes = std::int64_t{256} << 20;
  std::string strategy = "auto";    // of pass 1: route.strategy
  std::string classifier;           // its expert; empty: none
  double confidence = 0;            // of a class; below it the base answers
  std::vector<query_label> labels;  // the configured classes
  bool share_prefixes = false;      // of prompts, between callers
  search_spawner spawn_search;
};

/// A query goes through: admission, pass 1 where it has no target, the route,
/// the mixture, the answer. Each step asks one other actor and goes on
/// when it hears back (resume()), if the query is still here by then.
class task_dispatcher_state {
 public:
  static inline const char* name = "task_dispatcher";
  using pointer = task_dispatcher_actor::pointer;

  explicit task_dispatcher_state(pointer self);
  ~task_dispatcher_state();
  task_dispatcher_actor::behavior_type make_behavior(
      dispatcher_options options);

 private:
  enum class stage {
    waiting, routing, preparing_pass_1, classifying, mixing, answering
  };
  struct live_query {
    query_ref question;
    answer_sink_ref sink;
    std::optional<steady_time> deadline;
    stage at = stage::waiting;
    std::string task = {};    // named, but not adapted
    std::string form = {};    // of that
    std::string pass_1 = {};  // "prompt" or "classifier", once it has begun
    std::optional<classification> said = {};  // by pass 1
    label_table_ref table = {};               // of that
    routing route = {};
  };
  struct asked_adaptation {  // until its plan is known
    adapt_request_ref request;
    adapt_sink_ref sink;
    bool planning = false;
  };

  // Queries.
  void ask(ticket t, const query_ref& question, const answer_sink_ref& sink);
  void pump();
  void begin(ticket t, live_query& q);
  void begin_pass_1(ticket t, live_query& q, const std::string& strategy);
  void find_labels(ticket t, const std::string& strategy);
  void classify(ticket t, live_query& q, const delta_ref& delta);
  void classified(ticket t, live_query& q, const classification& said);
  void stay_on_base(ticket t, live_query& q, std::string reason);
  void find_route(ticket t, live_query& q, const std::string& target);
  void follow(ticket t, live_query& q, const route_plan& plan);
  void find_mixture(ticket t, const std::string& key, const mixture& recipe);
  void make_mixture(const std::string& key, const mixture& recipe);
  void mixture_made(const std::string& key, const result<ready_mixture>& made);
  void answer(ticket t, live_query& q, const delta_ref& delta);
  void end(ticket t, result<answer_part> outcome);
  void hold();
  void part_is_down(ticket t, const char* whom);
  void give_up(ticket t, const error& why);
  void withdraw(ticket t, const live_query& q);
  void arm();
  void expire();

  // Adaptations.
  void adapt(ticket t, const adapt_request_ref& request,
             const adapt_sink_ref& sink);
  void plan_all();
  void planned(ticket t, const adaptation_plan& plan);
  bool runs(const std::string& key,
            const adaptation_search_actor& searcher) const;
  void searched(const std::string& key, result<store_adaptation> outcome);
  void fail_adaptation(ticket t, const error& why);
  void leave_adaptation(ticket t);
  void conclude(ticket t);

  // The whole.
  void meet(const peers_ref& now);
  void loaded(const model_card_ref& card);
  void refuse_all(const error& why);
  void cancel_all();
  void check_drained();

  /// What a reply does with a query, if it has not ended meanwhile.
  template <class Reply, class F>
  auto resume(ticket t, F&& go_on);
  auto failing(ticket t, const char* whom);

  pointer self_;
  dispatcher_options options_;
  peers_ref peers_;
  model_card_ref card_;           // null: the model is not loaded (yet)
  std::optional<error> failure_;  // why it never will be
  std::optional<admission_queue> queue_;
  std::map<ticket, live_query> queries_;
  route_table routes_;
  std::optional<mixture_cache> mixtures_;
  single_flight<ticket> mixing_;  // by mixture key
  std::map<ticket, asked_adaptation> asked_;
  single_flight<adapt_sink_ref> searches_;  // by adaptation key
  std::map<std::string, adaptation_search_actor> searchers_;
  std::set<steady_time> armed_;  // ticks that will come
  steady_time hold_until_{};  // until then nobody begins
  bool pumping_ = false;
  dispatcher_load load_;
  bool draining_ = false;
  kept_promise<bool> drained_;
};

using task_dispatcher =
    caf::stateful_actor<task_dispatcher_state, task_dispatcher_actor::base>;

task_dispatcher_actor::behavior_type run_task_dispatcher(
    task_dispatcher* self, dispatcher_options options);

}  // namespace t2
