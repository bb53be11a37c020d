#include "actors/text_pool.hpp"

namespace t2 {

text_pool::text_pool(std::size_t threads) : most_threads_(threads) {}

text_pool::~text_pool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  clear();
  changed_.notify_all();
  threads_.clear();  // joins
}

void text_pool::read(ticket t, std::uint64_t caller,
                     std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    callers_[caller].emplace_back(t, std::move(work));
    while (threads_.size() < most_threads_)
      threads_.emplace_back([this] { run(); });
  }
  changed_.notify_all();
}

void text_pool::cancel(ticket t) {
  std::function<void()> dropped;  // outlives the lock
  const std::lock_guard lock(mutex_);
  for (auto caller = callers_.begin(); caller != callers_.end(); ++caller) {
    auto& texts = caller->second;
    for (auto text = texts.begin(); text != texts.end(); ++text) {
      if (text->first != t) continue;
      dropped = std::move(text->second);
      texts.erase(text);
      if (texts.empty()) callers_.erase(caller);
      return changed_.notify_all();
    }
  }
}

void text_pool::clear() {
  std::map<std::uint64_t, std::deque<waiting>> dropped;
  const std::lock_guard lock(mutex_);
  callers_.swap(dropped);
  changed_.notify_all();
}

void text_pool::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return callers_.empty() && reading_ == 0; });
}

std::function<void()> text_pool::next() {
  auto caller = callers_.upper_bound(last_caller_);
  if (caller == callers_.end()) caller = callers_.begin();
  last_caller_ = caller->first;
  auto work = std::move(caller->second.front().second);
  caller->second.pop_front();
  if (caller->second.empty()) callers_.erase(caller);
  return work;
}

void text_pool::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !callers_.empty(); });
    if (stopping_) return;
    ++reading_;
    {
      const auto work = next();
      lock.unlock();
      work();
    }  // what it holds goes before the lock comes back
    lock.lock();
    --reading_;
    changed_.notify_all();
  }
}

}  // namespace t2
