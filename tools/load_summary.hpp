#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/json.hpp"
#include "tools/load_outcome.hpp"

namespace t2 {

/// Counts and times of a load, as a whole and by target. One thread at a time.
class load_summary {
 public:
  /// `compare`: whether answers to the same prompt of the same target are
  /// compared.
  explicit load_summary(bool compare = false) : compare_(compare) {}

  void add(const load_outcome& outcome);
  /// A request that was due while too many were out.
  void add_dropped() { ++dropped_; }

  /// Of a load that took so long.
  ordered_json form(double seconds) const;

  /// Why the load is not in order; a refusal is no reason.
  const std::optional<error>& first_problem() const { return problem_; }
  std::int64_t divergent() const { return divergent_; }

 private:
  struct tally {
    std::map<load_end, std::int64_t> ends;
    std::int64_t prompt_tokens = 0, answer_tokens = 0;
    std::vector<double> latency, first_token, gaps;  // seconds

    void add(const load_outcome& outcome);
    ordered_json form(double seconds) const;
  };

  void compare(const load_outcome& outcome);

  bool compare_;
  tally all_;
  std::map<std::string, tally> by_target_;
  std::map<std::pair<std::string, std::size_t>, std::string> texts_;
  std::int64_t dropped_ = 0, compared_ = 0, divergent_ = 0;
  std::optional<error> problem_;
};

/// p50, p90, p95, p99, max and mean in milliseconds of times in seconds; null
/// without times.
ordered_json times_form(std::vector<double> seconds);

/// load_summary::form for a reader.
std::string print_load(const ordered_json& form);

}  // namespace t2
