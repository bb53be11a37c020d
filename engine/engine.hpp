#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "engine/scoring.hpp"
#include "engine/sequence.hpp"
#include "model/sampling.hpp"
#include "model/singular_delta.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

class language_model;

using steady_time = std::chrono::steady_clock::time_point;

enum class finish_reason : std::uint8_t {
  stop,       // an end-of-sequence token or a stop string
  length,     // max_tokens, or the context is full
  cancelled,  // cancel()
  deadline,   // the request's deadline passed
};
std::string_view to_string(finish_reason reason);

/// What one step added to one answer.
struct generation_event {
  sequence_id sequence = 0;
  std::string text;  // whole UTF-8 characters that can no longer change
  std::vector<sampled_token> tokens;
  // One of these is set on the last event.
  std::optional<finish_reason> finished;
  std::optional<error> failure;
  std::int64_t prompt_tokens = 0;
  std::int64_t answer_tokens = 0;  // so far
};

struct generation_request {
  std::vector<token_id> prompt = {};
  sampling_options sampling = {};
  delta_ref delta = {};
  priority urgency = priority::live;
  std::optional<steady_time> deadline = {};
  /// Number of this answer in the random stream (sampling.hpp): equal seeds
  /// and streams repeat an answer in any batch.
  std::uint64_t stream = 0;
  /// Whose share of the engine it takes: callers that want more than there is
  /// get the same part of each step, and so do the targets of each.
  flow_id flow = {};
  /// Pages of prompts are found again by requests of the same scope alone.
  std::string cache_scope = {};
  /// Called on the engine's thread, in order; must not call the engine.
  std::function<void(const generation_event&)> on_event = {};
};

/// Work that needs the engine's thread in slices, e.g. a training step.
class engine_job {
 public:
  virtual ~engine_job() = default;
  /// Runs a slice of work, 50 ms if it can be cut so fine; false when done.
  virtual bool advance(language_model& model) = 0;
};

/// Time that the calling thread has had a processor.
std::chrono::nanoseconds given_to_this_thread();

struct engine_options {
  std::int64_t kv_bytes = std::int64_t{1} << 30;
  std::int64_t dense_bytes = std::int64_t{1} << 30;  // LRU of dense copies
  std::int64_t delta_bytes = std::int64_t{64} << 20;  // LRU of mixtures
  std::int64_t delta_rank = 0;  // of live rows (transformer::set_delta_rank)
  std::int64_t step_tokens = 512;      // prefill and decode tokens of a step
  // Rows decoding at once; callers that have none may begin one beyond, as
  // many again in all.
  std::int64_t max_sequences = 64;
  std::int64_t max_context = 4096;     // prompt and answer of one sequence
  std::int64_t stream_bytes = std::int64_t{256} << 20;  // a scoring batch
  std::function<steady_time()> now = std::chrono::steady_clock::now;
  /// What the system has given this thread so far.
  std::function<std::chrono::nanoseconds()> thread_time = given_to_this_thread;
};

struct engine_statistics {
  /// Bounds of step_rows: steps of at most 1, 2, 4, … sequences; the last counts
  /// the others.
  static constexpr std::array<std::int64_t, 8> row_bounds{1,  2,  4,  8,
                                                          16, 32, 64, 128};
  std::uint64_t steps = 0;
  std::uint64_t prefill_tokens = 0;
  std::uint64_t decode_tokens = 0;
  std::uint64_t scored_tokens = 0;
  std::int64_t running = 0;  // sequences with a KV cache
  std::int64_t waiting = 0;
  std::int64_t kv_bytes_used = 0;    // by sequences that are computed or kept
  std::int64_t kv_bytes_cached = 0;  // by pages that wait to be found again
  std::int64_t dense_bytes_used = 0;
  std::uint64_t dense_builds = 0;
  std::int64_t kv_bytes_budget = 0;
  std::uint64_t prompt_tokens = 0;         // of prompts that were begun
  std::uint64_t prompt_tokens_cached = 0;  // of them, found in the prefix cache
  std::uint64_t preemptions = 0;  // sequences whose cache was taken away
  std::array<std::uint64_t, 5> plan_steps{};  // steps by linear_plan
  std::array<std::uint64_t, row_bounds.size() + 1> step_rows{};
  std::uint64_t rows = 0;  // sequences of all steps
};

/// Runs answers and scores under any mixture of rows, one packed step after the
/// other: the scheduler decides what a step computes, the executor computes it, and
/// what came out is delivered here, as tokens, texts and scores. Knows no threads:
/// one thread calls everything (in the daemon, the generation_engine actor).
class engine {
 public:
  engine(std::shared_ptr<language_model> model, engine_options options);
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  language_model& model();
  /// For other threads, all of it but its network.
  std::shared_ptr<const language_model> shared_model() const;
  const engine_options& options() const;

  /// Queues an answer. Errors (empty or too long prompt, ids outside the
  /// vocabulary, a delta of another layout, bad options) leave no trace.
  result<sequence_id> submit(generation_request request);

  /// Queues texts to score, packed under stream_bytes. What they share with each
  /// other is computed once; the first `stays` tokens of each remain in the cache
  /// for later ones (pass 1: the classification prompt).
  result<sequence_id> score(std::vector<scoring_row> rows,
                            scores_callback on_scores,
                            priority urgency = priority::background,
                            std::size_t stays = 0, flow_id flow = {});

  /// Hears of every slice of background work for whom it was (what submit,
  /// score and run gave), and the time that the system gave this thread for it:
  /// not that in which the process was stopped or others had the processor.
  /// A slice for several is shared out by their tokens. Called by step().
  using background_meter =
      std::function<void(sequence_id, std::chrono::nanoseconds)>;
  void on_background(background_meter meter);

  /// Queues a job; jobs take turns with the other background work.
  sequence_id run(std::shared_ptr<engine_job> job,
                  std::function<void()> on_done);

  /// Ends an answer, a scoring or a job; its callback hears `cancelled`
  /// before this returns. False if it is not known (any more).
  bool cancel(sequence_id id);

  /// One packed step or one slice of background work. False: nothing to do.
  bool step();
  bool idle() const;

  engine_statistics statistics() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace t2
