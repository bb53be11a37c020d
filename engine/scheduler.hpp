#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "config/result.hpp"
#include "engine/page_pool.hpp"
#include "engine/prefix_cache.hpp"
#include "engine/sequence.hpp"
#include "engine/step.hpp"

namespace t2 {

/// Decides what the next step computes, and who gives up pages for it. Knows
/// sequences, pages and their beginnings; no model, no clock, no texts. One thread.
///
/// **A step** takes one token of every answer that is being written, then chunks of
/// prompts up to a budget; where prompts want more than that, each caller gets the
/// same share, and so does each target of a caller.
///
/// **Pages** are handed out as sequences grow, and each computes what no other with
/// the same beginning (of one prefix_scope) has computed, or computes in the same
/// step; one whose beginning another is computing waits for it. When there is no
/// page left, the youngest sequence of the caller with the most gives its pages up
/// (background before live) and is computed again later; the oldest always goes on.
/// A sequence starts only where every running one could still get a page; while the
/// oldest waits for that, no younger one starts, in whatever flow.
///
/// **A newcomer**, a caller of whose live work nothing has begun, begins in the next
/// step: beyond max_sequences, before others' prompts, and with pages of callers
/// that hold several sequences.
class scheduler {
 public:
  using sequence_ref = std::shared_ptr<sequence>;
  using queue = std::list<sequence_ref>;

  /// `max_sequences`: answers decoding at once; callers that have none may begin
  /// one beyond, as many again in all.
  scheduler(page_pool& pages, prefix_cache& cache, std::int64_t max_sequences);

  void add(sequence_ref fresh);
  /// Ends a sequence; its pages stay as far as it says. Not while it is planned.
  void remove(const sequence_ref& ended);

  /// What one step computes.
  struct chunk {
    sequence_ref of;
    std::int64_t count = 0;  // positions, from of->computed on
  };
  struct plan {
    std::vector<chunk> chunks;  // of one mixture beside each other, the base first
    std::vector<kernels::page_fork> forks;
    /// Sequences that can never be computed, and why: to be removed.
    std::vector<std::pair<sequence_ref, error>> refused;

   private:
    friend class scheduler;
    std::vector<std::pair<prefix_cache::node*, std::size_t>> noted;
  };
  /// The next step of this priority, of at most `budget` tokens: computed, and then
  /// done() or failed(), before anything else. No chunks: there is nothing to do,
  /// or nothing that has room.
  plan next(priority urgency, std::int64_t budget);
  void done(const plan& computed);
  /// Nothing of it was computed. Its sequences are to be removed.
  void failed(const plan& lost);

  const queue& of(priority urgency) const {
    return queues_[static_cast<std::size_t>(urgency)];
  }
  std::vector<sequence_ref> of_owner(sequence_id owner) const;
  std::int64_t running() const;  // sequences that hold pages
  std::uint64_t preemptions() const { return preemptions_; }

 private:
  queue& queue_of(priority urgency) {
    return queues_[static_cast<std::size_t>(urgency)];
  }
  void refuse_impossible(priority urgency, plan& into) const;
  void add_decodes(priority urgency, std::int64_t& budget, plan& into);
  void add_prompts(priority urgency, std::int64_t budget, plan& into);
  std::int64_t add_caller(const queue& waiting, std::int64_t budget, plan& into);
  std::int64_t add_target(const queue& waiting, std::int64_t budget, plan& into);
  void add_chunk(const sequence_ref& of, std::int64_t count, plan& into);
  void note(sequence& s, plan& into);

  std::int64_t holders_of(const sequence& s) const;
  bool is_newcomer(const sequence& s) const { return holders_of(s) == 0; }
  bool may_start(const sequence& s) const;
  bool is_being_read(const sequence& s, std::int64_t found) const;
  bool start(const sequence_ref& s, std::int64_t budget, plan& into);
  bool has_room_to_start(const sequence& s, std::int64_t pages);
  void make_way(priority urgency, std::int64_t budget);
  bool displace_for(const sequence& newcomer);
  std::int64_t pages_to_take_for(const sequence& newcomer) const;
  std::int64_t spare_pages() const { return pages_.free() + pages_.idle(); }
  bool grow(sequence& s, std::int64_t end);
  bool preempt_for(const sequence& s, bool peers);
  void preempt(sequence& s);
  void release(sequence& s);

  page_pool& pages_;
  prefix_cache& cache_;
  std::int64_t max_sequences_;
  std::uint64_t arrivals_ = 0;
  queue queues_[2];  // by priority, in order of arrival
  // Of the step that is planned: callers with one that found no room (it is the end
  // of starting), and whether anything is in it yet.
  std::set<std::uint64_t> crowding_;
  bool empty_ = true;
  // By priority: the oldest that found no room to start. Until it has, younger ones
  // do not start, in whatever flow they are, but for newcomers.
  std::weak_ptr<sequence> first_in_line_[2];
  std::uint64_t preemptions_ = 0;
};

/// A plan as the step that computes it.
step make_step(const scheduler::plan& plan);

}  // namespace t2
