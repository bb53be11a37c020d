#include "actors/admission_queue.hpp"

#include <algorithm>

namespace t2 {

result<void> admission_queue::enter(request r,
                                    std::optional<time_point> deadline) {
  const bool runs_at_once = waiting_.empty() && running() < running_limit_;
  if (!runs_at_once && waiting_.size() >= waiting_limit_) {
    return error{ec::busy, "the queue is full: " +
                               std::to_string(waiting_.size()) +
                               " queries wait, server.queue allows " +
                               std::to_string(waiting_limit_)};
  }
  entries_.emplace(r, deadline);
  waiting_.push_back(r);
  return {};
}

std::optional<admission_queue::request> admission_queue::next() {
  if (waiting_.empty() || running() >= running_limit_) return std::nullopt;
  const request r = waiting_.front();
  waiting_.pop_front();
  return r;
}

bool admission_queue::leave(request r) {
  if (entries_.erase(r) == 0) return false;
  std::erase(waiting_, r);
  return true;
}

std::vector<admission_queue::request> admission_queue::expire(time_point now) {
  std::vector<request> over;
  for (const auto& [r, deadline] : entries_) {
    if (deadline && *deadline <= now) over.push_back(r);
  }
  for (const request r : over) leave(r);
  return over;
}

std::optional<admission_queue::time_point> admission_queue::next_deadline()
    const {
  std::optional<time_point> first;
  for (const auto& [r, deadline] : entries_) {
    if (deadline && (!first || *deadline < *first)) first = deadline;
  }
  return first;
}

std::vector<admission_queue::request> admission_queue::all() const {
  std::vector<request> everyone;
  for (const auto& [r, deadline] : entries_) everyone.push_back(r);
  return everyone;
}

}  // namespace t2
