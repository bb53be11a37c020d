#pragma once

#include <caf/atom.hpp>
#include <caf/type_id.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/adaptation_plan.hpp"
#include "actors/caf_errors.hpp"
#include "actors/client.hpp"
#include "actors/route_plan.hpp"
#include "actors/stream_sink.hpp"
#include "actors/work_meters.hpp"
#include "adaptation/few_shot_search.hpp"
#include "adaptation/label_classifier.hpp"
#include "adaptation/query.hpp"
#include "engine/engine.hpp"
#include "store/records.hpp"

// What the actors say to each other. They share one process, so messages hold
// plain values, and immutable ones by reference where they are large; none can
// cross a node.

namespace t2 {

template <class T>
using shared = std::shared_ptr<const T>;

// The callbacks of a request, held by whoever works on it.
using answer_sink = stream_sink<answer_part, answer_part>;
using adapt_sink = stream_sink<adapt_progress, adapt_report>;
using train_sink = stream_sink<train_progress, store_expert_version>;
using answer_sink_ref = shared<answer_sink>;
using adapt_sink_ref = shared<adapt_sink>;
using train_sink_ref = shared<train_sink>;

/// The model that an engine runs. All but model->network() may be read on any
/// thread.
struct model_card {
  store_base_model base;
  std::string device, dtype;
  bool chat_template = false;
  std::string template_variables = {};  // JSON, of all prompts; or nothing
  std::int64_t max_sequences = 1;
  /// More text in a query is refused before it is tokenised: no text comes near
  /// as many bytes in the tokens of a context.
  std::size_t most_text_bytes = std::size_t{64} << 10;
  std::shared_ptr<language_model> model;
  /// How long the engine has worked for whom.
  std::shared_ptr<work_meters> meters = std::make_shared<work_meters>();
};
using model_card_ref = shared<model_card>;

/// The model as the store knows it.
store_base_model base_record(const language_model& model);

/// One answer for the engine. Parts go straight into the sink, on the engine's
/// thread; the sender gets the last part as response and finishes the sink.
struct answer_request {
  query question;
  routing route;
  delta_ref delta;
  std::optional<steady_time> deadline;
  answer_sink_ref sink;
  flow_id flow = {};             // whose share of the engine it takes
  std::string cache_scope = {};  // whose pages of prompts it finds again
};
using answer_request_ref = shared<answer_request>;

struct scoring_request {
  std::vector<scoring_row> rows;
  priority urgency = priority::background;
  std::size_t shared_prefix = 0;
  flow_id flow = {};
};
using scoring_request_ref = shared<scoring_request>;
using row_scores_ref = shared<std::vector<row_score>>;

/// Answers wanted as a whole, in the background.
using generation_batch_ref = shared<std::vector<generation_request>>;
using search_answers_ref = shared<std::vector<search_answer>>;

/// A mixture to be made out of stored versions, in its components' order.
struct mixing_request {
  mixture recipe;
  std::vector<store_expert_version> versions;
};
using mixing_request_ref = shared<mixing_request>;

struct ready_mixture {
  delta_ref delta;
  std::int64_t bytes = 0;
};

using engine_job_ref = std::shared_ptr<engine_job>;
using query_ref = shared<query>;
using label_table_ref = shared<label_table>;

/// A query for pass 1, under the base or an expert that was trained for it.
struct classify_request {
  query question;
  label_table_ref table;
  delta_ref delta;
  flow_id flow = {};
};
using classify_request_ref = shared<classify_request>;
using adapt_request_ref = shared<adapt_request>;
using training_spec_ref = shared<training_spec>;
using store_task_ref = shared<store_task>;
using finished_evaluation_ref = shared<finished_evaluation>;
using expert_version_ref = shared<store_expert_version>;
using expert_versions_ref = shared<std::vector<store_expert_version>>;
using adaptation_plan_ref = shared<adaptation_plan>;

/// An expert version on its way into the store, with the base it belongs to.
struct publication {
  store_base_model base = {};
  std::string name = {};
  store_expert_version version = {};
  std::string caller = {};  // who asked for it
};
using publication_ref = shared<publication>;

/// What the dispatcher has in hand.
struct dispatcher_load {
  std::int64_t queued = 0, running = 0, searches = 0;
  std::uint64_t answered = 0;
  std::uint64_t adaptations_computed = 0, adaptations_reused = 0;
};

}  // namespace t2

CAF_BEGIN_TYPE_ID_BLOCK(t2_actors, caf::first_custom_type_id)
CAF_ADD_ATOM(t2_actors, t2, adapt_atom, "adapt")
CAF_ADD_ATOM(t2_actors, t2, adaptations_atom, "adaptions")
CAF_ADD_ATOM(t2_actors, t2, add_task_atom, "add_task")
CAF_ADD_ATOM(t2_actors, t2, answer_atom, "answer")
CAF_ADD_ATOM(t2_actors, t2, ask_atom, "ask")
CAF_ADD_ATOM(t2_actors, t2, audit_atom, "audit")
CAF_ADD_ATOM(t2_actors, t2, backup_atom, "backup")
CAF_ADD_ATOM(t2_actors, t2, call_atom, "call")
CAF_ADD_ATOM(t2_actors, t2, cancel_all_atom, "cancel_all")
CAF_ADD_ATOM(t2_actors, t2, cancel_atom, "cancel")
CAF_ADD_ATOM(t2_actors, t2, card_atom, "card")
CAF_ADD_ATOM(t2_actors, t2, check_atom, "check")
CAF_ADD_ATOM(t2_actors, t2, classify_atom, "classify")
CAF_ADD_ATOM(t2_actors, t2, conclude_atom, "conclude")
CAF_ADD_ATOM(t2_actors, t2, drain_atom, "drain")
CAF_ADD_ATOM(t2_actors, t2, evaluate_atom, "evaluate")
CAF_ADD_ATOM(t2_actors, t2, evaluations_atom, "evals")
CAF_ADD_ATOM(t2_actors, t2, experts_atom, "experts")
CAF_ADD_ATOM(t2_actors, t2, forget_atom, "forget")
CAF_ADD_ATOM(t2_actors, t2, generate_atom, "generate")
CAF_ADD_ATOM(t2_actors, t2, get_expert_atom, "get_expert")
CAF_ADD_ATOM(t2_actors, t2, get_task_atom, "get_task")
CAF_ADD_ATOM(t2_actors, t2, health_atom, "health")
CAF_ADD_ATOM(t2_actors, t2, history_atom, "history")
CAF_ADD_ATOM(t2_actors, t2, keep_atom, "keep")
CAF_ADD_ATOM(t2_actors, t2, labels_atom, "labels")
CAF_ADD_ATOM(t2_actors, t2, load_atom, "load")
CAF_ADD_ATOM(t2_actors, t2, mix_atom, "mix")
CAF_ADD_ATOM(t2_actors, t2, peers_atom, "peers")
CAF_ADD_ATOM(t2_actors, t2, plan_atom, "plan")
CAF_ADD_ATOM(t2_actors, t2, progress_atom, "progress")
CAF_ADD_ATOM(t2_actors, t2, publish_atom, "publish")
CAF_ADD_ATOM(t2_actors, t2, put_base_atom, "put_base")
CAF_ADD_ATOM(t2_actors, t2, read_atom, "read")
CAF_ADD_ATOM(t2_actors, t2, remove_expert_atom, "rm_expert")
CAF_ADD_ATOM(t2_actors, t2, remove_task_atom, "rm_task")
CAF_ADD_ATOM(t2_actors, t2, resolve_atom, "resolve")
CAF_ADD_ATOM(t2_actors, t2, restart_atom, "restart")
CAF_ADD_ATOM(t2_actors, t2, rollback_atom, "rollback")
CAF_ADD_ATOM(t2_actors, t2, run_atom, "run")
CAF_ADD_ATOM(t2_actors, t2, score_atom, "score")
CAF_ADD_ATOM(t2_actors, t2, seen_atom, "seen")
CAF_ADD_ATOM(t2_actors, t2, statistics_atom, "statistics")
CAF_ADD_ATOM(t2_actors, t2, step_atom, "step")
CAF_ADD_ATOM(t2_actors, t2, stop_atom, "stop")
CAF_ADD_ATOM(t2_actors, t2, tasks_atom, "tasks")
CAF_ADD_ATOM(t2_actors, t2, tick_atom, "tick")
CAF_ADD_ATOM(t2_actors, t2, train_atom, "train")
CAF_END_TYPE_ID_BLOCK(t2_actors)

// Records.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::store_adaptation)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::store_base_model)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::store_evaluation)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::store_expert)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::store_task)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<std::string>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<t2::audit_entry>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<t2::seen_by>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<t2::store_adaptation>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<t2::store_evaluation>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<t2::store_expert>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<t2::store_expert_version>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<t2::store_task>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::expert_version_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::expert_versions_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::publication_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::store_task_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::finished_evaluation_ref)
// Requests and their outcomes.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::adapt_progress)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::adapt_request_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::adapt_sink_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::adaptation_plan)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::adaptation_plan_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::answer_part)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::answer_request_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::answer_sink_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::classification)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::classify_request_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::label_table_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<t2::query_label>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::dispatcher_load)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::engine_job_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::engine_statistics)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::generation_batch_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::health_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::mixing_request_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::mixture)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::model_card_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::query_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::ready_mixture)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::route_plan)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::row_scores_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::scoring_request_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::search_answers_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::train_sink_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::training_spec_ref)
