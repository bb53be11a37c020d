#include "actors/admission_queue.hpp"

namespace t2 {

result<void> admission_queue::enter(request r,
                                    std::optional<time_point> deadline,
                                    std::uint64_t flow) {
  const bool runs_at_once = waiting_ == 0 && running() < running_limit_;
  if (!runs_at_once && waiting_ >= waiting_limit_) {
    return error{ec::busy, "the queue is full: " + std::to_string(waiting_) +
                               " queries wait, server.queue allows " +
                               std::to_string(waiting_limit_)};
  }
  const auto known = flows_.find(flow);
  const std::size_t own =
      known == flows_.end() ? 0 : known->second.waiting.size();
  if (!runs_at_once && own >= 4 * (waiting_limit_ - waiting_)) {
    return error{ec::busy, "the queue is nearly full, and " +
                               std::to_string(own) +
                               " queries for this target wait already"};
  }
  entries_[r] = {.deadline = deadline, .flow = flow, .arrival = ++arrivals_};
  flows_[flow].waiting[arrivals_] = r;
  ++waiting_;
  if (deadline) deadlines_.emplace(*deadline, r);
  return {};
}

std::optional<admission_queue::request> admission_queue::next() {
  if (running() >= running_limit_) return std::nullopt;
  flow_queue* best = nullptr;
  for (auto& [id, one] : flows_) {
    if (one.waiting.empty()) continue;
    if (!best || one.running < best->running ||
        (one.running == best->running &&
         one.waiting.begin()->first < best->waiting.begin()->first))
      best = &one;
  }
  if (!best) return std::nullopt;
  const request r = best->waiting.begin()->second;
  best->waiting.erase(best->waiting.begin());
  ++best->running;
  --waiting_;
  entries_.at(r).runs = true;
  return r;
}

bool admission_queue::leave(request r) {
  const auto left = entries_.extract(r);
  if (left.empty()) return false;
  const entry& gone = left.mapped();
  if (gone.deadline) deadlines_.erase({*gone.deadline, r});
  const auto of = flows_.find(gone.flow);
  if (gone.runs) {
    --of->second.running;
  } else {
    of->second.waiting.erase(gone.arrival);
    --waiting_;
  }
  if (of->second.running == 0 && of->second.waiting.empty()) flows_.erase(of);
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
