#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "http/json.hpp"

namespace t2 {

/// What a replay has measured. One thread.
class replay_summary {
 public:
  /// An answer that this run has got: a line of the answer log.
  void add_answer(const ordered_json& line);
  /// One that an earlier run had got.
  void add_earlier(const ordered_json& line);
  void add_failure() { ++failed_; }

  /// `seconds` of this run. Rates and times are of this run's answers; scores
  /// are of all.
  ordered_json form(double seconds) const;

  std::int64_t failed() const { return failed_; }

 private:
  struct score {
    double sum = 0;
    std::int64_t right = 0, count = 0;
  };
  void add_score(const ordered_json& line);

  std::int64_t answered_ = 0, earlier_ = 0, failed_ = 0, cached_ = 0;
  std::int64_t prompt_tokens_ = 0, answer_tokens_ = 0;
  std::vector<double> seconds_, first_token_seconds_;
  std::map<std::string, score> scores_;  // by reward
};

/// The form of replay_summary as lines for people.
std::string print_summary(const ordered_json& summary);

}  // namespace t2
