#include "engine/page_pool.hpp"

namespace t2 {

page_pool::page_pool(page_id pages) : size_(pages) {}

std::optional<page_id> page_pool::take() {
  page_id page = 0;
  if (!freed_.empty()) {
    page = freed_.back();
    freed_.pop_back();
  } else if (pages_.size() < static_cast<std::size_t>(size_)) {
    page = static_cast<page_id>(pages_.size());
    pages_.emplace_back();
  } else {
    return std::nullopt;
  }
  hold(page);
  return page;
}

void page_pool::hold(page_id page) {
  auto& state = state_of(page);
  if (state.readers++ > 0) return;
  ++used_;
  if (state.kept) --idle_;
}

void page_pool::release(page_id page) {
  auto& state = state_of(page);
  if (--state.readers > 0) return;
  --used_;
  if (state.kept)
    ++idle_;
  else
    freed_.push_back(page);
}

void page_pool::keep(page_id page) {
  auto& state = state_of(page);
  state.kept = true;
  if (state.readers == 0) ++idle_;
}

void page_pool::drop(page_id page) {
  auto& state = state_of(page);
  state.kept = false;
  if (state.readers > 0) return;
  --idle_;
  freed_.push_back(page);
}

}  // namespace t2
