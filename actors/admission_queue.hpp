#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "config/result.hpp"
#include "engine/flow_id.hpp"

namespace t2 {

/// Who may run, who waits, and whose time is over. Both the running and the
/// waiting are bounded, and shared between callers first, then between the
/// targets of each (flow_id):
///
/// - Of those that wait, one of the caller with the fewest running goes next,
///   of its targets that with the fewest, first come, first served.
/// - A caller that has nothing running begins although all places are taken:
///   as many again are kept for such callers, one for each, so nobody waits
///   for another's answers to end.
/// - A caller may have four fifths of the waiting places that other callers
///   leave, and a target four fifths of those: who floods the queue does not
///   keep another one out.
///
/// Knows numbers only, and no clock. One thread.
class admission_queue {
 public:
  using request = std::uint64_t;
  using time_point = std::chrono::steady_clock::time_point;

  admission_queue(std::size_t running_limit, std::size_t waiting_limit)
      : running_limit_(running_limit), waiting_limit_(waiting_limit) {}

  /// Lets a request wait. ec::busy: as many wait as may: all, of its caller,
  /// or of its target.
  result<void> enter(request r, std::optional<time_point> deadline,
                     flow_id flow = {});
  /// The one that may run now, if any.
  std::optional<request> next();
  /// It has ended, or was given up while it waited. False: it is not here.
  bool leave(request r);

  /// Takes out all whose deadline is at or before `now`.
  std::vector<request> expire(time_point now);
  std::optional<time_point> next_deadline() const;

  bool has(request r) const { return entries_.contains(r); }
  std::size_t waiting() const { return waiting_; }
  std::size_t running() const { return entries_.size() - waiting_; }
  bool empty() const { return entries_.empty(); }
  std::vector<request> all() const;

 private:
  struct entry {
    std::optional<time_point> deadline;
    flow_id flow;
    std::uint64_t arrival = 0;
    bool runs = false;
  };
  struct target_queue {
    std::size_t running = 0;
    std::map<std::uint64_t, request> waiting;  // by arrival
  };
  struct caller_queue {
    std::size_t running = 0, waiting = 0;
    std::map<std::uint64_t, target_queue> targets;  // of those with any
  };

  result<void> check_room(const caller_queue* caller, flow_id flow) const;
  /// Whether one of a caller with so many running may begin now.
  bool may_begin(std::size_t callers_running) const;

  std::size_t running_limit_, waiting_limit_;
  std::size_t waiting_ = 0;
  std::uint64_t arrivals_ = 0;
  std::map<request, entry> entries_;               // both kinds
  std::map<std::uint64_t, caller_queue> callers_;  // of those with any
  std::set<std::pair<time_point, request>> deadlines_;
};

}  // namespace t2
