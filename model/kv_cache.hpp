#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "model/model_config.hpp"

namespace t2 {

/// Keys and values of `tokens` neighbouring positions in all layers. Keys are
/// stored transposed, so that the scores of neighbouring keys are neighbours in
/// memory: keys_lkdp is [layers, kv heads, head dim, tokens], values_lkpd
/// [layers, kv heads, tokens, head dim], behind the keys in one allocation: a
/// vector of keys may be read past its row.
struct kv_page {
  static constexpr std::int64_t tokens = 16;

  at::Tensor keys_lkdp, values_lkpd;
  void* keys = nullptr;    // their first elements: looking them up costs more
  void* values = nullptr;  // than the attention to a page
};
using kv_page_ref = std::shared_ptr<kv_page>;

/// Positions [first, last) of a sequence, in the slots of a page from 0 on.
struct kv_segment {
  kv_page_ref page;
  std::int64_t first = 0, last = 0;
};

/// Where the keys and values of one sequence are. Its first `start` positions
/// are read only: they belong to others (another sequence, the prefix cache);
/// behind them come pages of its own.
class kv_sequence {
 public:
  std::int64_t start() const { return start_; }
  /// Positions that have room, from 0 on.
  std::int64_t room() const {
    return segments_.empty() ? 0 : segments_.back().last;
  }
  const std::vector<kv_segment>& segments() const { return segments_; }
  /// The segment of its own that holds this position, start() <= it < room().
  const kv_segment& own(std::int64_t position) const {
    return segments_[borrowed_ + static_cast<std::size_t>(
                                     (position - start_) / kv_page::tokens)];
  }

 private:
  friend class kv_pool;
  std::int64_t start_ = 0;
  std::size_t borrowed_ = 0;  // segments before its own
  std::vector<kv_segment> segments_;
};

/// Hands out pages under a budget of bytes; what comes back is used again. A
/// copy is the same pool. One thread.
class kv_pool {
 public:
  kv_pool(const model_config& config, c10::ScalarType dtype, c10::Device device,
          std::int64_t budget_bytes);

  std::int64_t page_bytes() const;
  /// Of the pages that so many tokens take.
  std::int64_t bytes_for(std::int64_t tokens) const;
  std::int64_t bytes_used() const;
  std::int64_t budget_bytes() const;

  /// A sequence that continues the first `start` tokens of `parent`, which must
  /// have room for them (they may be computed in the same step).
  std::shared_ptr<kv_sequence> open(const kv_sequence& parent,
                                    std::int64_t start) const;
  /// A sequence that begins with whole pages.
  std::shared_ptr<kv_sequence> open(std::vector<kv_page_ref> pages = {}) const;
  /// Makes room for the positions before `end`. False where the budget does not
  /// allow it; what was added then stays.
  bool grow(kv_sequence& sequence, std::int64_t end);

  /// A sequence with room for `capacity` tokens after the first `start` of
  /// `parent` (null: start = 0). Null where the budget does not allow it.
  std::shared_ptr<kv_sequence> allocate(
      std::int64_t capacity,
      const std::shared_ptr<kv_sequence>& parent = nullptr,
      std::int64_t start = 0);

 private:
  struct core;
  kv_page_ref take();

  std::shared_ptr<core> core_;
};

}  // namespace t2
