#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace t2 {

/// One run per key, however many wait for it: the first to join starts it, the
/// later ones share it, and when the last one leaves it has to be cancelled.
/// One thread.
template <class Waiter>
class single_flight {
 public:
  using request = std::uint64_t;

  /// True: the caller is the first and starts the run.
  bool join(const std::string& key, request r, Waiter waiter) {
    const bool first = !flights_.contains(key);
    flights_[key].emplace(r, std::move(waiter));
    return first;
  }

  bool in_flight(const std::string& key) const {
    return flights_.contains(key);
  }

  /// The run has ended: all who waited for it, in the order of their numbers.
  std::vector<Waiter> land(const std::string& key) {
    std::vector<Waiter> waiters;
    const auto flight = flights_.extract(key);
    if (flight.empty()) return waiters;
    for (auto& [r, waiter] : flight.mapped()) {
      waiters.push_back(std::move(waiter));
    }
    return waiters;
  }

  struct departure {
    std::string key;
    Waiter waiter;
    bool last = false;  // nobody waits for the run any more
  };

  /// Nothing: it does not wait here.
  std::optional<departure> leave(request r) {
    for (auto flight = flights_.begin(); flight != flights_.end(); ++flight) {
      const auto found = flight->second.find(r);
      if (found == flight->second.end()) continue;
      departure left{flight->first, std::move(found->second), false};
      flight->second.erase(found);
      if (flight->second.empty()) {
        left.last = true;
        flights_.erase(flight);
      }
      return left;
    }
    return std::nullopt;
  }

  /// The key of the run that it waits for alone.
  std::optional<std::string> alone(request r) const {
    for (const auto& [key, waiters] : flights_)
      if (waiters.contains(r) && waiters.size() == 1) return key;
    return std::nullopt;
  }

  template <class F>
  void for_each(const std::string& key, F&& visit) const {
    const auto flight = flights_.find(key);
    if (flight == flights_.end()) return;
    for (const auto& [r, waiter] : flight->second) visit(waiter);
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> all;
    for (const auto& [key, waiters] : flights_) all.push_back(key);
    return all;
  }

  std::size_t size() const { return flights_.size(); }

 private:
  std::map<std::string, std::map<request, Waiter>> flights_;
};

}  // namespace t2
