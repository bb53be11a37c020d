#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/messages.hpp"
#include "actors/typed_interface.hpp"

// Every actor of t2 and what it answers. An error always arrives as the
// response (caf_errors.hpp: an ec and a line of text). Tickets name work in
// progress: whoever asks for it picks one that no other work has. The last
// argument of what changes the store is who asked for it, for the audit log.

namespace t2 {

/// Owns the store (detached: SQLite blocks).
using expert_store_actor = typed_interface<
    // Registers the base model, or does nothing when it is known.
    caf::result<bool>(put_base_atom, store_base_model),
    // Adds a task that belongs to this base; checked against its reward.
    caf::result<store_task>(add_task_atom, store_base_model, store_task_ref,
                            std::string),
    // All tasks with their examples.
    caf::result<std::vector<store_task>>(tasks_atom),
    // The task of this name.
    caf::result<store_task>(get_task_atom, std::string),
    // Removes the task of this name; its adaptations stay.
    caf::result<bool>(remove_task_atom, std::string, std::string),
    // The adaptations of the task of this name, oldest first.
    caf::result<std::vector<store_adaptation>>(adaptations_atom, std::string),
    // All experts.
    caf::result<std::vector<store_expert>>(experts_atom),
    // All versions of an expert, without their bytes.
    caf::result<std::vector<store_expert_version>>(history_atom, std::string),
    // name or name@version, with its bytes.
    caf::result<expert_version_ref>(get_expert_atom, std::string),
    // Adds a version; durable when this is answered.
    caf::result<expert_version_ref>(publish_atom, publication_ref),
    // Makes an older version current.
    caf::result<store_expert>(rollback_atom, std::string, std::int64_t,
                              std::string),
    // Removes an expert.
    caf::result<bool>(remove_expert_atom, std::string, std::string),
    // Where a target leads for the base of this fingerprint (route_plan.hpp).
    caf::result<route_plan>(resolve_atom, std::string, std::string),
    // The classes of pass 1 for the base of this fingerprint: the configured
    // ones and those of tasks.
    caf::result<label_table_ref>(labels_atom, std::vector<query_label>,
                                 std::string),
    // The versions of a mixture, with their bytes.
    caf::result<expert_versions_ref>(load_atom, mixture),
    // What an adaptation needs, and whether it was computed before.
    caf::result<adaptation_plan>(plan_atom, adapt_request_ref,
                                 store_base_model),
    // Stores the outcome of a search; durable when this is answered.
    caf::result<store_adaptation>(keep_atom, store_adaptation, std::string),
    // Who stands behind a target, and what each has seen (seen_plan.hpp).
    caf::result<std::vector<seen_by>>(seen_atom, std::string),
    // Keeps a measurement, unless it was made on what its target has seen.
    caf::result<store_evaluation>(evaluate_atom, store_base_model,
                                  finished_evaluation_ref),
    // All measurements.
    caf::result<std::vector<store_evaluation>>(evaluations_atom),
    // Problems found in the whole store.
    caf::result<std::vector<std::string>>(check_atom),
    // Writes a copy to this path and answers it.
    caf::result<std::string>(backup_atom, std::string),
    // The last entries of the log.
    caf::result<std::vector<audit_entry>>(audit_atom, std::int64_t)>;

/// Owns the model and its step loop (detached). Takes messages while it loads
/// and answers them afterwards, all with the reason if loading failed.
using generation_engine_actor = typed_interface<
    // The model, once it is loaded.
    caf::result<model_card_ref>(card_atom),
    // Streams an answer into the request's sink; responds with the last part.
    caf::result<answer_part>(answer_atom, ticket, answer_request_ref),
    // Log-probabilities of rows.
    caf::result<row_scores_ref>(score_atom, ticket, scoring_request_ref),
    // Whole answers, in the background.
    caf::result<search_answers_ref>(generate_atom, ticket,
                                    generation_batch_ref),
    // Runs a job in slices; true when it is done, ec::cancelled otherwise.
    caf::result<bool>(run_atom, ticket, engine_job_ref),
    // Makes a mixture ready, between two steps and before any other job.
    caf::result<ready_mixture>(mix_atom, ticket, mixing_request_ref),
    // Ends the work under this ticket; it is answered with ec::cancelled.
    caf::result<void>(cancel_atom, ticket),
    // What the engine has done.
    caf::result<engine_statistics>(statistics_atom),
    // To itself: the next step, while there is work.
    caf::result<void>(step_atom),
    // To itself: the text of an answer has been read.
    caf::result<void>(read_atom),
    // To itself: the files of the model are looked at, once a second.
    caf::result<void>(tick_atom)>;

struct peers;
using peers_ref = std::shared_ptr<const peers>;
class front_call;
using front_call_ref = std::shared_ptr<const front_call>;

}  // namespace t2

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::peers_ref)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(t2::front_call_ref)

namespace t2 {

/// Pass 1: which class a query belongs to.
using prompt_classifier_actor = typed_interface<
    // The likeliest label of a query and its probability.
    caf::result<classification>(classify_atom, ticket, classify_request_ref),
    // Gives up the classification under this ticket.
    caf::result<void>(cancel_atom, ticket),
    // Where the others are now.
    caf::result<void>(peers_atom, peers_ref)>;

/// Routes queries, admits them, shares searches.
using task_dispatcher_actor = typed_interface<
    // Answers a query through its sink, which hears every outcome.
    caf::result<void>(ask_atom, ticket, query_ref, answer_sink_ref),
    // Adapts a task, or waits for the search that does; through the sink.
    caf::result<void>(adapt_atom, ticket, adapt_request_ref, adapt_sink_ref),
    // Where the search under this key stands.
    caf::result<void>(progress_atom, std::string, adapt_progress),
    // Gives up a query or stops waiting for an adaptation.
    caf::result<void>(cancel_atom, ticket),
    // The same, but an adaptation that nobody else waits for is decided by what
    // is known.
    caf::result<void>(conclude_atom, ticket),
    // Tasks or experts have changed: routes are looked up again.
    caf::result<void>(forget_atom),
    // Where the others are now.
    caf::result<void>(peers_atom, peers_ref),
    // What it has in hand.
    caf::result<dispatcher_load>(health_atom),
    // Takes no more work; true when the last of it has ended.
    caf::result<bool>(drain_atom),
    // Cancels all work in hand.
    caf::result<void>(cancel_all_atom),
    // To itself: a deadline has come.
    caf::result<void>(tick_atom)>;

/// One search for one key; ends when it has answered.
using adaptation_search_actor = typed_interface<
    // Searches and stores the outcome.
    caf::result<store_adaptation>(run_atom),
    // Decides by what is known now; stores what is believed, and nothing else.
    caf::result<void>(conclude_atom)>;

/// One training run (detached: it reads data and checkpoints); ends when its
/// sink has the outcome.
using expert_trainer_actor = typed_interface<
    // Trains and publishes; the outcome goes to the sink.
    caf::result<void>(run_atom),
    // Ends the run at its next slice, with a checkpoint of where it stands.
    caf::result<void>(cancel_atom)>;

/// The tree: starts, watches, restarts and stops all others.
using supervisor_actor = typed_interface<
    // Where everybody is now.
    caf::result<peers_ref>(peers_atom),
    // How the process stands.
    caf::result<health_report>(health_atom),
    // Starts a trainer; the outcome goes to the sink.
    caf::result<void>(train_atom, ticket, training_spec_ref, train_sink_ref),
    // Cancels the trainer of this ticket.
    caf::result<void>(cancel_atom, ticket),
    // Orderly stop with so many milliseconds of grace; true when all have
    // ended.
    caf::result<bool>(stop_atom, std::int64_t),
    // To itself: start the child of this name again.
    caf::result<void>(restart_atom, std::string),
    // To itself: the grace is over.
    caf::result<void>(tick_atom)>;

/// Makes the calls of client.hpp; the one actor that programs talk to.
using front_desk_actor = typed_interface<
    // Does a call.
    caf::result<void>(call_atom, front_call_ref),
    // Where the others are now.
    caf::result<void>(peers_atom, peers_ref)>;

/// Who is there. A handle is null while its actor is being restarted.
struct peers {
  supervisor_actor supervisor;
  expert_store_actor store;
  generation_engine_actor engine;
  prompt_classifier_actor classifier;
  task_dispatcher_actor dispatcher;
  /// Set when one of them has failed for good.
  std::optional<error> failed;
};

}  // namespace t2
