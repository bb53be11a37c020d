#include "engine/delta_table.hpp"

namespace t2 {
namespace {

std::int64_t bytes_of(const singular_delta& delta) {
  return delta.layout().total() * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace

delta_slot delta_table::hold(const delta_ref& delta) {
  if (!delta) return -1;
  auto [at, fresh] = known_.try_emplace(delta->digest());
  if (fresh) {
    if (freed_.empty()) {
      at->second = static_cast<delta_slot>(entries_.size());
      entries_.emplace_back();
    } else {
      at->second = freed_.back();
      freed_.pop_back();
    }
    entries_[static_cast<std::size_t>(at->second)].delta = delta;
    bytes_ += bytes_of(*delta);
  }
  auto& known = entries_[static_cast<std::size_t>(at->second)];
  if (known.holders++ == 0 && !fresh) idle_.erase(known.place);
  shrink();
  return at->second;
}

void delta_table::release(delta_slot slot) {
  if (slot < 0) return;
  auto& known = entries_[static_cast<std::size_t>(slot)];
  if (--known.holders > 0) return;
  idle_.push_front(slot);
  known.place = idle_.begin();
  shrink();
}

const delta_ref& delta_table::operator[](delta_slot slot) const {
  static const delta_ref base;
  return slot < 0 ? base : entries_[static_cast<std::size_t>(slot)].delta;
}

delta_ref delta_table::find(const std::string& digest) {
  const auto at = known_.find(digest);
  return at == known_.end() ? nullptr : (*this)[at->second];
}

void delta_table::shrink() {
  while (bytes_ > budget_ && !idle_.empty()) {
    const auto slot = idle_.back();
    idle_.pop_back();
    auto& known = entries_[static_cast<std::size_t>(slot)];
    bytes_ -= bytes_of(*known.delta);
    known_.erase(known.delta->digest());
    known.delta.reset();
    freed_.push_back(slot);
  }
}

}  // namespace t2
