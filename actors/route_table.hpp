#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/route_plan.hpp"

namespace t2 {

/// Where targets lead, as the store last said. A change in the store opens a
/// new epoch with an empty table; an answer to a question of an older epoch is
/// not kept. One thread.
class route_table {
 public:
  static constexpr std::size_t most_routes = 4096;

  std::uint64_t epoch() const { return epoch_; }

  const route_plan* find(const std::string& target) const {
    const auto found = routes_.find(target);
    return found == routes_.end() ? nullptr : &found->second;
  }
  void put(const std::string& target, route_plan plan, std::uint64_t epoch) {
    if (epoch != epoch_) return;
    // One expert can be named in any number of ways (a@1, a@01).
    if (routes_.size() >= most_routes) routes_.clear();
    routes_.insert_or_assign(target, std::move(plan));
  }

  /// The classes of pass 1; null: not known.
  const std::shared_ptr<const label_table>& labels() const { return labels_; }
  void put_labels(std::shared_ptr<const label_table> labels,
                  std::uint64_t epoch) {
    if (epoch == epoch_) labels_ = std::move(labels);
  }

  void forget() {
    ++epoch_;
    routes_.clear();
    labels_.reset();
  }

 private:
  std::uint64_t epoch_ = 0;
  std::map<std::string, route_plan> routes_;
  std::shared_ptr<const label_table> labels_;
};

}  // namespace t2
