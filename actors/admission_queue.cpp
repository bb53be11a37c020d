#include "actors/admission_queue.hpp"

#include <algorithm>

namespace t2 {

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
  entries_[r] = {.deadline = deadline, .flow = flow};
  waiting_.push_back(r);
  return {};
}

std::optional<admission_queue::request> admission_queue::next() {
  if (waiting_.empty() || running() >= running_limit_) return std::nullopt;
  const auto at = std::ranges::min_element(
      waiting_, {}, [&](request r) -> std::size_t {
        const auto found = running_of_.find(entries_.at(r).flow);
        return found == running_of_.end() ? 0 : found->second;
      });
  const request r = *at;
  waiting_.erase(at);
  auto& chosen = entries_.at(r);
  chosen.runs = true;
  ++running_of_[chosen.flow];
  return r;
}

bool admission_queue::leave(request r) {
  const auto left = entries_.extract(r);
  if (left.empty()) return false;
  if (!left.mapped().runs) {
    std::erase(waiting_, r);
  } else if (const auto of = running_of_.find(left.mapped().flow);
             --of->second == 0) {
    running_of_.erase(of);
  }
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
