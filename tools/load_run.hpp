#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "tools/interrupt.hpp"
#include "tools/load_client.hpp"
#include "tools/load_plan.hpp"
#include "tools/load_summary.hpp"

namespace t2 {

struct load_settings {
  std::size_t requests = 0;     // 0: until the time is over
  double seconds = 0;           // that requests begin in; 0: no limit
  std::size_t concurrency = 1;  // clients of a closed loop
  double rate = 0;              // requests a second; 0: a closed loop
  std::size_t max_outstanding = 256;  // of an open loop
  std::uint64_t seed = 0;             // of arrivals and manners
  double misbehave = 0;               // share of clients that do
};

/// Sends the requests of a plan from many threads. In a closed loop each client
/// waits for its answer before it asks again; in an open one requests come when
/// they come, and their times count from when they were due.
class load_run {
 public:
  load_run(const http_client& http, const interrupt& signals,
           const load_plan& plan, const load_settings& settings)
      : client_(http, signals),
        signals_(signals),
        plan_(plan),
        settings_(settings) {}

  /// Until all have ended, or a signal comes. `on_done` hears how many have,
  /// one call at a time. Once.
  void run(load_summary& summary,
           const std::function<void(std::size_t)>& on_done);

  /// From the first request to the last end.
  double seconds() const { return seconds_; }

 private:
  using steady = std::chrono::steady_clock;
  struct due_request {
    std::size_t number;
    steady::time_point due;
  };

  void run_closed();
  void run_open();
  /// Counts the next request of a closed loop; none when there are no more.
  std::optional<std::size_t> take_number();
  void send(const due_request& request);
  bool over(std::size_t number, double seconds_in) const;
  double seconds_in() const;

  load_client client_;
  const interrupt& signals_;
  const load_plan& plan_;
  load_settings settings_;
  steady::time_point begin_;
  double seconds_ = 0;
  std::atomic<std::size_t> next_ = 0;

  std::mutex mutex_;  // guards what follows
  load_summary* summary_ = nullptr;
  const std::function<void(std::size_t)>* on_done_ = nullptr;
  std::size_t done_ = 0;
};

/// How client `number` of a load behaves.
manners manners_of(const load_settings& settings, std::size_t number);

}  // namespace t2
