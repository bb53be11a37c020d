#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

#include "model/model_config.hpp"

namespace t2 {

/// Names a page of a kv_store: 0, 1, … below its number of pages.
using page_id = std::int32_t;

/// Room for keys and values, in pages of neighbouring positions of a sequence, all
/// layers of a position in one page. Position p of a sequence is in slot
/// p mod page_tokens of its page p / page_tokens. Who owns a page is not known here
/// (engine/page_pool), and how its numbers lie is known to the backend that made
/// the store alone (kernels::backend::make_store). One thread.
class kv_store {
 public:
  static constexpr std::int64_t page_tokens = 16;

  virtual ~kv_store() = default;
};

/// Pages that so many positions take.
constexpr std::int64_t kv_pages(std::int64_t positions) {
  return (positions + kv_store::page_tokens - 1) / kv_store::page_tokens;
}

/// Bytes of a page in any backend's store.
inline std::int64_t kv_page_bytes(const model_config& config,
                                  c10::ScalarType dtype) {
  return 2 * config.layers * config.kv_heads * config.head_dim *
         kv_store::page_tokens *
         static_cast<std::int64_t>(c10::elementSize(dtype));
}

}  // namespace t2
