#include "actors/admission_queue.hpp"

#include <algorithm>

namespace t2 {
namespace {

/// One may have four fifths of `places`, rounded up.
std::size_t most_of_one(std::size_t places) { return (4 * places + 4) / 5; }

/// Whether one with these goes before another: fewest running, then earliest.
struct rank {
  std::size_t running = 0;
  std::uint64_t arrival = 0;
  friend auto operator<=>(const rank&, const rank&) = default;
};

}  // namespace

bool admission_queue::may_begin(std::size_t callers_running) const {
  if (running() < running_limit_) return true;
  return callers_running == 0 && running() < 2 * running_limit_;
}

result<void> admission_queue::check_room(const caller_queue* caller,
                                         flow_id flow) const {
  if (!caller && may_begin(0)) return {};  // it waits for nobody
  if (waiting_ == 0 && running() < running_limit_) return {};
  if (waiting_ >= waiting_limit_) {
    return error{ec::busy, "the queue is full: " + std::to_string(waiting_) +
                               " queries wait, server.queue allows " +
                               std::to_string(waiting_limit_)};
  }
  const std::size_t own = caller ? caller->waiting : 0;
  const std::size_t most = most_of_one(waiting_limit_ - (waiting_ - own));
  if (own >= most) {
    return error{ec::busy, "the queue is nearly full, and " +
                               std::to_string(own) +
                               " queries of this caller wait already"};
  }
  if (!caller) return {};
  const auto known = caller->targets.find(flow.target);
  const std::size_t here = known == caller->targets.end()
                               ? 0
                               : known->second.waiting.size();
  if (here >= most_of_one(most - (own - here))) {
    return error{ec::busy, "the queue is nearly full, and " +
                               std::to_string(here) +
                               " queries for this target wait already"};
  }
  return {};
}

result<void> admission_queue::enter(request r,
                                    std::optional<time_point> deadline,
                                    flow_id flow) {
  const auto known = callers_.find(flow.caller);
  const auto* caller = known == callers_.end() ? nullptr : &known->second;
  if (const auto room = check_room(caller, flow); !room) return room;
  entries_[r] = {.deadline = deadline, .flow = flow, .arrival = ++arrivals_};
  caller_queue& of = callers_[flow.caller];
  of.targets[flow.target].waiting[arrivals_] = r;
  ++of.waiting;
  ++waiting_;
  if (deadline) deadlines_.emplace(*deadline, r);
  return {};
}

std::optional<admission_queue::request> admission_queue::next() {
  caller_queue* first = nullptr;
  target_queue* of_first = nullptr;
  rank best;
  for (auto& [id, caller] : callers_) {
    if (caller.waiting == 0 || !may_begin(caller.running)) continue;
    rank own{caller.running, arrivals_ + 1};
    target_queue* chosen = nullptr;
    rank within;
    for (auto& [target, one] : caller.targets) {
      if (one.waiting.empty()) continue;
      const auto arrival = one.waiting.begin()->first;
      own.arrival = std::min(own.arrival, arrival);
      const rank here{one.running, arrival};
      if (chosen && within < here) continue;
      chosen = &one;
      within = here;
    }
    if (first && best < own) continue;
    first = &caller;
    of_first = chosen;
    best = own;
  }
  if (!first) return std::nullopt;
  const request r = of_first->waiting.begin()->second;
  of_first->waiting.erase(of_first->waiting.begin());
  ++of_first->running;
  ++first->running;
  --first->waiting;
  --waiting_;
  entries_.at(r).runs = true;
  return r;
}

bool admission_queue::leave(request r) {
  const auto left = entries_.extract(r);
  if (left.empty()) return false;
  const entry& gone = left.mapped();
  if (gone.deadline) deadlines_.erase({*gone.deadline, r});
  const auto caller = callers_.find(gone.flow.caller);
  auto& targets = caller->second.targets;
  const auto target = targets.find(gone.flow.target);
  if (gone.runs) {
    --target->second.running;
    --caller->second.running;
  } else {
    target->second.waiting.erase(gone.arrival);
    --caller->second.waiting;
    --waiting_;
  }
  if (target->second.running == 0 && target->second.waiting.empty())
    targets.erase(target);
  if (targets.empty()) callers_.erase(caller);
  return true;
}

std::vector<admission_queue::request> admission_queue::expire(time_point now) {
  std::vector<request> over;
  for (const auto& [deadline, r] : deadlines_) {
    if (deadline > now) break;
    over.push_back(r);
  }
  for (const request r : over) leave(r);
  return over;
}

std::optional<admission_queue::time_point> admission_queue::next_deadline()
    const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

std::vector<admission_queue::request> admission_queue::all() const {
  std::vector<request> everyone;
  for (const auto& [r, known] : entries_) everyone.push_back(r);
  return everyone;
}

}  // namespace t2
