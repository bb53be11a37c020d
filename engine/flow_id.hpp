#pragma once

#include <compare>
#include <cstdint>

namespace t2 {

/// Whose share work takes of what there is: callers get equal parts, and so do
/// the targets of one caller within its part. Numbers only: who they stand for
/// is known where they are made.
struct flow_id {
  std::uint64_t caller = 0;
  std::uint64_t target = 0;

  friend auto operator<=>(const flow_id&, const flow_id&) = default;
};

}  // namespace t2
