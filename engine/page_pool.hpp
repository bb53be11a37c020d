#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/kv_store.hpp"

namespace t2 {

/// Who has which page of a kv_store: how many sequences read it, and whether the
/// prefix cache keeps it. A page with neither is free. Numbers only: what is in a
/// page is the store's. One thread.
class page_pool {
 public:
  /// ids 0 .. pages − 1.
  explicit page_pool(page_id pages);

  /// A free page, for one reader: the one that was freed last, so that no more of
  /// the store is touched than was needed at once. None: all are in use.
  std::optional<page_id> take();
  void hold(page_id page);     // one reader more
  void release(page_id page);  // one less
  void keep(page_id page);     // by the prefix cache, until drop()
  void drop(page_id page);

  std::int32_t readers(page_id page) const { return state_of(page).readers; }
  page_id size() const { return size_; }
  page_id free() const { return size_ - used_ - idle_; }
  page_id used() const { return used_; }  // that sequences read
  page_id idle() const { return idle_; }  // that only the cache keeps

 private:
  struct page_state {
    std::int32_t readers = 0;
    bool kept = false;
  };
  const page_state& state_of(page_id page) const {
    return pages_[static_cast<std::size_t>(page)];
  }
  page_state& state_of(page_id page) {
    return pages_[static_cast<std::size_t>(page)];
  }

  page_id size_, used_ = 0, idle_ = 0;
  std::vector<page_state> pages_;  // as many as were ever taken
  std::vector<page_id> freed_;
};

}  // namespace t2
