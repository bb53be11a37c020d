#include "tools/load_run.hpp"

#include <condition_variable>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "tools/arrival_schedule.hpp"
#include "tools/seeded_draw.hpp"

namespace t2 {
namespace {

constexpr std::uint64_t stream_of_manners = 3;

/// Threads that take what is due; as many as there was ever need for.
template <class Item, class Work>
class growing_pool {
 public:
  growing_pool(std::size_t most, Work work)
      : most_(most), work_(std::move(work)) {}
  ~growing_pool() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  /// False when all are at work and no more may be started. One thread.
  bool offer(Item item) {
    {
      const std::lock_guard lock(mutex_);
      if (outstanding_ == most_) return false;
      ++outstanding_;
      waiting_.push_back(std::move(item));
    }
    if (threads_.size() < outstanding_at_most()) {
      threads_.emplace_back([this] { serve(); });
    }
    changed_.notify_one();
    return true;
  }

 private:
  std::size_t outstanding_at_most() {
    const std::lock_guard lock(mutex_);
    return outstanding_;
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const Item item = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work_(item);
      lock.lock();
      --outstanding_;
    }
  }

  const std::size_t most_;
  Work work_;
  std::mutex mutex_;  // guards what follows, but for the threads
  std::condition_variable changed_;
  std::deque<Item> waiting_;
  std::size_t outstanding_ = 0;
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

manners manners_of(const load_settings& settings, std::size_t number) {
  const double draw = seeded_draw(settings.seed, stream_of_manners, number);
  if (draw >= settings.misbehave) return manners::good;
  const double kind = draw / settings.misbehave;  // again even in [0, 1)
  if (kind < 1.0 / 3) return manners::vanishes;
  return kind < 2.0 / 3 ? manners::sends_half : manners::reads_slowly;
}

void load_run::run(load_summary& summary,
                   const std::function<void(std::size_t)>& on_done) {
  summary_ = &summary;
  on_done_ = &on_done;
  begin_ = steady::now();
  if (settings_.rate > 0) {
    run_open();
  } else {
    run_closed();
  }
  seconds_ = seconds_in();
}

double load_run::seconds_in() const {
  return std::chrono::duration<double>(steady::now() - begin_).count();
}

bool load_run::over(std::size_t number, double seconds_in) const {
  return signals_.signal() != 0 ||
         (settings_.requests > 0 && number >= settings_.requests) ||
         (settings_.seconds > 0 && seconds_in >= settings_.seconds);
}

void load_run::send(const due_request& request) {
  const auto outcome =
      client_.send(plan_.request(request.number),
                   manners_of(settings_, request.number), request.due);
  const std::lock_guard lock(mutex_);
  summary_->add(outcome);
  (*on_done_)(++done_);
}

std::optional<std::size_t> load_run::take_number() {
  const std::size_t number = next_++;
  if (over(number, seconds_in())) return std::nullopt;
  return number;
}

void load_run::run_closed() {
  std::vector<std::jthread> clients;
  for (std::size_t i = 0; i < settings_.concurrency; ++i) {
    clients.emplace_back([this] {
      while (const auto number = take_number()) {
        send({.number = *number, .due = steady::now()});
      }
    });
  }
}

void load_run::run_open() {
  arrival_schedule arrivals(settings_.rate, settings_.seed);
  growing_pool<due_request, std::function<void(const due_request&)>> clients(
      settings_.max_outstanding,
      [this](const due_request& request) { send(request); });
  for (std::size_t number = 0;; ++number) {
    const double at = arrivals.next();
    if (over(number, at)) return;
    const double wait = at - seconds_in();
    if (wait > 0.001) signals_.wait(static_cast<int>(wait * 1000));
    if (signals_.signal() != 0) return;
    const auto due = begin_ + std::chrono::duration_cast<steady::duration>(
                                  std::chrono::duration<double>(at));
    std::this_thread::sleep_until(due);
    if (clients.offer({.number = number, .due = due})) continue;
    const std::lock_guard lock(mutex_);
    summary_->add_dropped();
  }
}

}  // namespace t2
