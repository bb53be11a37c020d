#pragma once

#include <atomic>

#include "actors/client.hpp"

namespace t2 {

/// A ticket for work that no program asked for by itself (a mixture that
/// several queries wait for, a search's batch). Programs' tickets count from
/// 1; these have the highest bit set. Any thread.
inline ticket internal_ticket() {
  static std::atomic<ticket> last{0};
  return (ticket{1} << 63) | ++last;
}

}  // namespace t2
