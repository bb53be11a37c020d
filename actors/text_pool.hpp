#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "actors/client.hpp"

namespace t2 {

/// Threads on which texts become tokens, so that the engine's never reads one:
/// a text may take a second (text/tokenizer.hpp). Callers take turns, within one
/// it goes by order, so that whoever sends many costs others one of them. Any
/// thread.
class text_pool {
 public:
  explicit text_pool(std::size_t threads = 2);
  /// Drops what waits, and waits for what is being read.
  ~text_pool();
  text_pool(const text_pool&) = delete;
  text_pool& operator=(const text_pool&) = delete;

  /// `work` runs once, on one of the threads, unless it is cancelled before.
  void read(ticket t, std::uint64_t caller, std::function<void()> work);
  /// Takes it away where it still waits. What is being read is read to its end.
  void cancel(ticket t);
  /// Takes away all that waits.
  void clear();
  /// Waits until nothing waits or is being read.
  void wait();

 private:
  using waiting = std::pair<ticket, std::function<void()>>;

  void run();
  std::function<void()> next();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, std::deque<waiting>> callers_;  // none is empty
  std::uint64_t last_caller_ = 0;
  std::size_t reading_ = 0;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;  // started with the first text
  std::size_t most_threads_;
};

}  // namespace t2
