#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "http/metrics_text.hpp"

namespace t2 {

/// What the server has counted since it started. Any thread.
class serving_metrics {
 public:
  /// One request has ended; `path` is its route's pattern, so that there are
  /// few of them.
  void count_request(const std::string& method, const std::string& path,
                     int status, double seconds);
  void count_refused_connection();
  void set_connections(std::int64_t open);
  void add_first_token(double seconds);
  void add_tokens(double seconds_each, std::uint64_t count);

  void write(metrics_text& out) const;

 private:
  using labels = std::tuple<std::string, std::string, int>;

  mutable std::mutex mutex_;
  std::map<labels, std::uint64_t> requests_;
  latency_histogram request_time_, first_token_, between_tokens_;
  std::int64_t connections_ = 0;
  std::uint64_t refused_connections_ = 0;
};

/// Times one answer: from its request to the first token, and then from token
/// to token. One thread at a time.
class completion_clock {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Begins now. Null: nothing is measured.
  explicit completion_clock(
      std::shared_ptr<serving_metrics> into,
      time_point now = std::chrono::steady_clock::now())
      : into_(std::move(into)), last_(now) {}

  /// A part has come, with which the answer has so many tokens.
  void saw(std::int64_t tokens,
           time_point now = std::chrono::steady_clock::now());

 private:
  std::shared_ptr<serving_metrics> into_;
  time_point last_;
  std::int64_t tokens_ = 0;
};

}  // namespace t2
