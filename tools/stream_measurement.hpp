#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "http/event_stream.hpp"

namespace t2 {

/// Times a streamed completion as its reader sees it, and says whether it was
/// whole: one finish_reason, then the usage, then one [DONE]. One thread.
class stream_measurement {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `begin`: when the request was due.
  explicit stream_measurement(time_point begin) : begin_(begin) {}

  void take(const server_event& event, time_point now);

  /// What the answer lacks or has too often; none when it is whole. Asked when
  /// the stream has ended.
  std::optional<std::string> problem() const;
  /// What the server said in place of the rest.
  const std::optional<error>& failure() const { return failure_; }

  /// Seconds from `begin` to the first text; none without text.
  std::optional<double> first_token_seconds() const;
  /// Seconds between one piece of text and the next.
  const std::vector<double>& gaps() const { return gaps_; }
  const std::string& text() const { return text_; }
  std::int64_t prompt_tokens() const { return prompt_tokens_; }
  std::int64_t answer_tokens() const { return answer_tokens_; }

 private:
  void take_choice(const std::string& piece, time_point now);

  time_point begin_;
  std::optional<time_point> first_, last_;
  std::vector<double> gaps_;
  std::string text_;
  std::int64_t prompt_tokens_ = 0, answer_tokens_ = 0;
  int reasons_ = 0, usages_ = 0, ends_ = 0;
  std::optional<std::string> oddity_;  // the first
  std::optional<error> failure_;
};

}  // namespace t2
