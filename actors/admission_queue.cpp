#include "actors/admission_queue.hpp"

#include <algorithm>

namespace t2 {

admission_queue::flow_counts admission_queue::counts_of(
    std::uint64_t flow) const {
  const auto found = flows_.find(flow);
  return found == flows_.end() ? flow_counts{} : found->second;
}

result<void> admission_queue::enter(request r,
                                    std::optional<time_point> deadline,
                                    std::uint64_t flow) {
  const bool runs_at_once = waiting_.empty() && running() < running_limit_;
  if (!runs_at_once && waiting_.size() >= waiting_limit_) {
    return error{ec::busy, "the queue is full: " +
                               std::to_string(waiting_.size()) +
                               " queries wait, server.queue allows " +
                               std::to_string(waiting_limit_)};
  }
  const std::size_t own = counts_of(flow).waiting;
  if (!runs_at_once && own >= 4 * (waiting_limit_ - waiting_.size())) {
    return error{ec::busy, "the queue is nearly full, and " +
                               std::to_string(own) +
                               " queries for this target wait already"};
  }
  entries_[r] = {.deadline = deadline, .flow = flow};
  waiting_.push_back(r);
  ++flows_[flow].waiting;
  return {};
}

std::optional<admission_queue::request> admission_queue::next() {
  if (waiting_.empty() || running() >= running_limit_) return std::nullopt;
  const auto at = std::ranges::min_element(
      waiting_, {},
      [&](request r) { return counts_of(entries_.at(r).flow).running; });
  const request r = *at;
  waiting_.erase(at);
  auto& chosen = entries_.at(r);
  chosen.runs = true;
  auto& counts = flows_.at(chosen.flow);
  --counts.waiting;
  ++counts.running;
  return r;
}

bool admission_queue::leave(request r) {
  const auto left = entries_.extract(r);
  if (left.empty()) return false;
  const auto flow = flows_.find(left.mapped().flow);
  if (left.mapped().runs) {
    --flow->second.running;
  } else {
    std::erase(waiting_, r);
    --flow->second.waiting;
  }
  if (flow->second.running + flow->second.waiting == 0) flows_.erase(flow);
  return true;
}

std::vector<admission_queue::request> admission_queue::expire(time_point now) {
  std::vector<request> over;
  for (const auto& [r, known] : entries_) {
    if (known.deadline && *known.deadline <= now) over.push_back(r);
  }
  for (const request r : over) leave(r);
  return over;
}

std::optional<admission_queue::time_point> admission_queue::next_deadline()
    const {
  std::optional<time_point> first;
  for (const auto& [r, known] : entries_) {
    if (known.deadline && (!first || *known.deadline < *first))
      first = known.deadline;
  }
  return first;
}

std::vector<admission_queue::request> admission_queue::all() const {
  std::vector<request> everyone;
  for (const auto& [r, known] : entries_) everyone.push_back(r);
  return everyone;
}

}  // namespace t2
