#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adaptation/query.hpp"
#include "config/options.hpp"
#include "config/result.hpp"
#include "store/records.hpp"

namespace t2 {

/// A running request, search or training; valid until its last callback.
using ticket = std::uint64_t;

template <class T>
using reply = std::function<void(result<T>)>;

/// Where the actors of one process stand.
struct health_report {
  bool ready = false;         // the model is loaded and queries are taken
  std::string state;          // "loading", "ready", "stopping" or "failed: …"
  std::string model;          // name of the base
  std::string fingerprint;    // of the base
  std::string device, dtype;
  bool chat_template = false;  // the base has one
  std::int64_t queued = 0;    // queries waiting
  std::int64_t running = 0;   // queries being answered
  std::int64_t searches = 0;  // adaptations under way
  std::int64_t trainings = 0;
  std::uint64_t answered = 0;          // since the start
  std::uint64_t adaptations_computed = 0;
  std::uint64_t adaptations_reused = 0;
  std::uint64_t restarts = 0;  // of actors, by the supervisor
  bool damaged = false;  // files of the model have changed while they were used
};

/// What the engine has done since it was loaded, and holds now.
struct engine_report {
  std::uint64_t steps = 0;
  std::uint64_t prefill_tokens = 0, decode_tokens = 0, scored_tokens = 0;
  std::uint64_t prompt_tokens = 0;         // of prompts that were begun
  std::uint64_t prompt_tokens_cached = 0;  // of them, in the prefix cache
  std::uint64_t preemptions = 0;  // sequences whose cache was taken away
  std::uint64_t dense_builds = 0;
  std::int64_t running = 0, waiting = 0;  // sequences
  std::int64_t kv_bytes_used = 0, kv_bytes_cached = 0, kv_bytes_budget = 0;
  std::int64_t dense_bytes_used = 0;
  std::vector<std::pair<std::string, std::uint64_t>> plan_steps;  // by plan
  /// Steps of at most step_bounds[i] sequences and more than the bound before;
  /// the last count those of more.
  std::vector<double> step_bounds;
  std::vector<std::uint64_t> step_sequences;
  std::uint64_t sequences = 0;  // of all steps together
};

/// Why an answer ran under what it ran under.
struct routing {
  // "base", "few-shot" (a task's), "expert", or by which pass 1 decided:
  // "prompt", "classifier".
  std::string strategy;
  std::string task;      // empty without one
  std::string form;      // in which that is asked: "raw", "chat"
  std::string label;     // pass 1's class, empty without it
  double confidence = 1; // of the label
  std::vector<std::pair<std::string, double>> probabilities;  // of all labels
  std::string reason;    // one line
  std::string adaptation_key;  // empty for the base
  bool from_cache = false;     // the mixture was ready in memory
  mixture_summary mixture;     // experts, versions, α; empty: the base
};

/// A token of an answer and how likely the model took it to be: the logarithm
/// of its probability before temperature, filters, penalties and bias.
struct answer_token {
  std::string bytes;  // what it stands for; perhaps half a character
  double log_probability = 0;
  std::vector<std::pair<std::string, double>> alternatives = {};  // best first
  std::int64_t text_offset = 0;  // characters of the answer before it
};

/// The z of one projection of an expert, summarised.
struct heatmap_row {
  std::optional<std::int64_t> layer = {};  // none: embedding, head
  std::string projection;  // "q", "k", "v", "o", "gate", "up", "down"
  std::int64_t rank = 0;
  double mean = 0, least = 0, most = 0;
  /// Mean of |z - 1| over equal stretches of the rank, from the greatest
  /// singular value on; at most 32.
  std::vector<double> distance;
};

struct expert_heatmap {
  std::string expert;
  std::int64_t version = 0;
  std::string targets;
  std::vector<heatmap_row> rows = {};  // by layer
};

struct answer_part {
  std::string text;                       // what is new
  /// Where they were asked for: the tokens whose text has come. Those of all
  /// parts are those of the answer; none lies behind a stop text.
  std::vector<answer_token> tokens = {};
  std::string fingerprint = {};  // of the base; on the first and the last part
  std::optional<routing> route;           // on the first part
  std::optional<std::string> finish_reason;  // on the last part
  std::int64_t prompt_tokens = 0;
  std::int64_t answer_tokens = 0;
  double log_probability = 0;  // of the answer's tokens so far
};

struct adapt_request {
  std::string task;
  bool force = false;          // search again although the store has one
  search_options search;       // config/options.hpp
  std::vector<std::string> experts;  // names; empty: all of this base
  std::string caller = {};           // who asks
  /// Of the model's chat template for all prompts; the dispatcher knows them.
  std::string template_variables = {};
};

struct adapt_progress {
  std::int64_t iteration = 0, iterations = 0;
  double best_score = 0, base_score = 0;
  std::int64_t tokens = 0;
  double seconds = 0;
};

struct adapt_report {
  store_adaptation adaptation;
  bool reused = false;  // it was in the store, nothing was computed
};

/// What one of those behind an answer has learned from or was searched on.
struct seen_by {
  std::string owner;                  // "expert math@2"
  std::optional<std::string> hashes;  // docs/formats.md; none: not recorded
};

/// A measurement to be kept in the store.
struct finished_evaluation {
  std::string target = {};       // what was measured: base, a task, expert:NAME, auto
  std::string dataset = {};      // what it was measured on
  std::string data_sha256 = {};  // of that
  std::string prompts = {};      // the hashes of its prompts
  std::string scores_json = "{}";
  bool allow_unrecorded = false;  // experts that do not say what they have seen
  std::string caller = {};        // who measured
};

struct train_progress {
  std::int64_t step = 0, steps = 0;
  double loss = 0, validation_loss = 0, gradient_norm = 0, learning_rate = 0;
  double seconds = 0;
  // Of an objective that samples answers (then validation_loss is the
  // divergence from the base): of the last step, and of the validations.
  bool sampled = false;
  double reward = 0, kl = 0, length = 0;
  double validation_reward = 0, best_validation_reward = 0;
};

/// The whole of t2 for programs and HTTP: starts the actors, speaks to them,
/// and knows no CAF. Every call returns at once; callbacks run on the actors'
/// threads, must not block, and each reply is called exactly once, with an
/// error if an actor died. Any thread may call.
class client {
 public:
  /// Takes the store's lock (ec::busy names who has it), starts the tree and
  /// begins to load the model. `socket_path` is written into the lock so that
  /// others find the daemon.
  static result<std::unique_ptr<client>> start(const runtime_options& options,
                                               std::string socket_path);
  /// Stops as stop() does.
  ~client();

  void health(reply<health_report> done);
  /// Answered when the model is loaded, between two steps.
  void statistics(reply<engine_report> done);

  /// Streams an answer: on_part for every part, then done once (with an error,
  /// or the whole answer's last part).
  ticket ask(query question, std::function<void(answer_part)> on_part,
             reply<answer_part> done);

  // What changes the store says in its audit log who asked for it: *_for().
  /// An empty form is decided here (adaptation/prompt_form.hpp).
  void add_task(store_task task, reply<store_task> done) {
    add_task_for({}, std::move(task), std::move(done));
  }
  void add_task_for(std::string caller, store_task task,
                    reply<store_task> done);
  void list_tasks(reply<std::vector<store_task>> done);
  void get_task(std::string name, reply<store_task> done);
  void remove_task(std::string name, reply<bool> done) {
    remove_task_for({}, std::move(name), std::move(done));
  }
  void remove_task_for(std::string caller, std::string name,
                       reply<bool> done);
  void task_adaptations(std::string task,
                        reply<std::vector<store_adaptation>> done);

  ticket adapt(adapt_request request,
               std::function<void(adapt_progress)> on_progress,
               reply<adapt_report> done);

  void list_experts(reply<std::vector<store_expert>> done);
  void expert_history(std::string name,
                      reply<std::vector<store_expert_version>> done);
  /// name or name@version.
  void get_expert(std::string name, reply<store_expert_version> done);
  /// What its z looks like; name or name@version.
  void heatmap_of(std::string name, reply<expert_heatmap> done);
  /// `file`: bytes of an expert file (docs/formats.md).
  void import_expert(std::string name, std::string file,
                     reply<store_expert_version> done) {
    import_expert_for({}, std::move(name), std::move(file), std::move(done));
  }
  void import_expert_for(std::string caller, std::string name, std::string file,
                         reply<store_expert_version> done);
  void rollback_expert(std::string name, std::int64_t version,
                       reply<store_expert> done) {
    rollback_expert_for({}, std::move(name), version, std::move(done));
  }
  void rollback_expert_for(std::string caller, std::string name,
                           std::int64_t version, reply<store_expert> done);
  void remove_expert(std::string name, reply<bool> done) {
    remove_expert_for({}, std::move(name), std::move(done));
  }
  void remove_expert_for(std::string caller, std::string name,
                         reply<bool> done);
  ticket train_expert(training_spec spec,
                      std::function<void(train_progress)> on_progress,
                      reply<store_expert_version> done);

  /// Who stands behind the answers of a target, and what each has seen.
  void seen(std::string target, reply<std::vector<seen_by>> done);
  /// ec::incompatible when a prompt of it was seen by what is behind its target.
  void add_evaluation(finished_evaluation measured,
                      reply<store_evaluation> done);
  void list_evaluations(reply<std::vector<store_evaluation>> done);

  /// Decomposes what the SVD cache lacks of the targets' projections.
  ticket decompose(std::string targets,
                   std::function<void(std::int64_t, std::int64_t)> on_progress,
                   reply<std::int64_t> done);

  void check_store(reply<std::vector<std::string>> done);  // problems found
  void backup_store(std::string path, reply<std::string> done);
  void audit(std::int64_t last, reply<std::vector<audit_entry>> done);

  /// Ends a request early; its reply hears ec::cancelled. A training writes its
  /// checkpoint first, and says where it is.
  void cancel(ticket request);
  /// Ends an adaptation with what it knows: a mixture that is believed by now is
  /// stored as truncated, else nothing is and the reply hears ec::cancelled; so
  /// it does where others wait for the same search, which goes on. All else is
  /// cancelled.
  void conclude(ticket request);

  /// An orderly stop: takes no more work, lets running answers end until
  /// `grace` is over, cancels the rest, closes the store. Blocks.
  void stop(std::chrono::milliseconds grace);

 private:
  friend struct client_access;  // tests reach the actors through it
  struct state;
  explicit client(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

}  // namespace t2
