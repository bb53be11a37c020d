#pragma once

#include <ATen/core/Tensor.h>

#include <deque>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/engine.hpp"
#include "model/engine_unit.hpp"
#include "model/kv_cache.hpp"
#include "model/language_model.hpp"
#include "model/prefix_cache.hpp"
#include "model/transformer.hpp"

namespace t2 {

/// What an engine holds, and its steps: engine_packing.cpp decides what a step
/// computes and makes room for it, engine_step.cpp computes it, engine.cpp has
/// the rest.
struct engine::state {
  struct job {
    sequence_id id;
    std::shared_ptr<engine_job> work;
    std::function<void()> on_done;
  };
  /// What one step computes of one unit.
  struct chunk {
    std::shared_ptr<engine_unit> unit;
    std::int64_t count = 0;
  };
  using units = std::list<std::shared_ptr<engine_unit>>;
  struct kept_prefix {
    std::string key;
    std::shared_ptr<prefix_unit> unit;
  };

  state(std::shared_ptr<language_model> m, engine_options o);

  units& of(priority urgency) {
    return queue[static_cast<std::size_t>(urgency)];
  }
  void enqueue(std::shared_ptr<engine_unit> unit);
  std::int64_t longest() const;

  // engine.cpp: ends, turns of live and background work.
  generation_event event_of(const answer_unit& unit) const;
  void end(answer_unit& unit, finish_reason reason);
  static void emit(answer_unit& unit, const generation_event& event);
  void fail(engine_unit& unit, const error& failure);
  void fail_owner(engine_unit& unit, const error& failure);
  /// Removes all units of `owner`; each tells its caller through `tell`.
  template <class F>
  bool remove(sequence_id owner, F&& tell) {
    bool found = false;
    for (auto& q : queue)
      for (auto it = q.begin(); it != q.end();) {
        if ((*it)->owner != owner) {
          ++it;
          continue;
        }
        const auto unit = *it;
        it = q.erase(it);
        tell(*unit);
        found = true;
      }
    return found;
  }
  void expire();
  bool background_waits() const { return !queue[1].empty() || !jobs.empty(); }
  void background_slice(bool live_waits);
  void run_background_rows(bool live_waits);
  void run_job();
  void meter_rows(const std::vector<std::pair<sequence_id, std::int64_t>>&
                      tokens,
                  std::chrono::nanoseconds begin) const;
  std::int64_t stream_tokens() const;
  bool step();
  result<void> check_tokens(std::span<const token_id> tokens,
                            std::string_view what) const;
  result<void> check_delta(const delta_ref& delta) const;

  // engine_packing.cpp
  std::vector<chunk> pack(priority urgency, std::int64_t budget);
  void add_decodes(priority urgency, std::int64_t& budget,
                   std::vector<chunk>& chunks);
  void add_prompts(priority urgency, std::int64_t budget,
                   std::vector<chunk>& chunks);
  std::int64_t add_caller(const units& waiting, std::int64_t budget,
                          std::vector<chunk>& chunks);
  std::int64_t add_target(const units& waiting, std::int64_t budget,
                          std::vector<chunk>& chunks);
  bool is_newcomer(const engine_unit& unit) const;
  void make_way(priority urgency, std::int64_t budget);
  bool displace_for(const engine_unit& newcomer);
  std::int64_t pages_to_take_for(const engine_unit& newcomer) const;
  std::int64_t holders_of(const engine_unit& unit) const;
  std::int64_t spare_pages() const;
  bool may_start(const engine_unit& unit, const std::vector<chunk>& chunks);
  void open_cache(engine_unit& unit);
  bool has_room_to_start(engine_unit& unit, std::int64_t count,
                         const std::vector<chunk>& chunks);
  bool grow(engine_unit& unit, std::int64_t count,
            const std::vector<chunk>& chunks);
  bool preempt_after(const engine_unit& unit, const std::vector<chunk>& chunks,
                     bool peers);
  bool release_parent_after(const engine_unit& unit,
                            const std::vector<chunk>& chunks);
  bool drop_idle_prefix();
  void refuse_impossible(priority urgency);
  void refuse_first(priority urgency);
  void keep_pages(answer_unit& unit);
  std::int64_t holders() const;

  // engine_step.cpp
  result<head_rows> forward(std::vector<chunk>& chunks);
  void run(std::vector<chunk> chunks);
  void fail_all(const std::vector<chunk>& chunks, const error& failure);
  void advance(const std::vector<chunk>& chunks, const head_rows& rows);
  /// Which of a step's hidden states are read, and what for.
  struct wanted_rows {
    std::vector<std::shared_ptr<answer_unit>> answers;
    std::vector<std::int64_t> answer_rows;   // one each
    std::vector<std::int64_t> score_rows;
    std::vector<std::int64_t> scored_under;  // each target's, in score_rows
    std::vector<token_id> targets;
    std::vector<row_score*> scores;          // one for each target
  };
  wanted_rows move_on(const std::vector<chunk>& chunks);
  void tell_scores(const std::vector<chunk>& chunks);
  void sample_all(const std::vector<std::shared_ptr<answer_unit>>& answers,
                  const head_rows& rows);
  void accept(const std::shared_ptr<answer_unit>& unit, sampled_token drawn);
  void count_prompt(answer_unit& unit);
  void count_step(const std::vector<chunk>& chunks);

  std::shared_ptr<language_model> model;
  engine_options options;
  kv_pool pool;
  prefix_cache cache;
  sequence_id next_id = 1;
  std::uint64_t arrivals = 0;
  units queue[2];  // by priority, in order of arrival
  std::deque<job> jobs;
  bool job_turn = false;
  std::set<std::uint64_t> crowding;  // callers with one that found no room in
                                     // this step: it is the end of starting
  // By priority: the oldest that found no room to start. Until it has, younger
  // ones do not start, in whatever flow they are, but for newcomers.
  std::weak_ptr<engine_unit> first_in_line[2];
  std::vector<prefix_key> begun;  // beginnings that this step computes
  std::list<kept_prefix> prefixes;  // most recently used first
  engine_statistics counters;
  background_meter meter;         // may be none
  double live_seconds = 0;        // since the last background slice
  double slice_length = 0;        // of that slice
  double background_rate = 2000;  // tokens a second, measured
};

}  // namespace t2
