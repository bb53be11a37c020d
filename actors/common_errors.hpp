#pragma once

#include <string>

#include "config/result.hpp"

namespace t2 {

inline constexpr const char* store_name = "the expert store";
inline constexpr const char* engine_name = "the generation engine";

inline error cancelled_error() {
  return {ec::cancelled, "cancelled by the caller"};
}

inline error late_error() {
  return {ec::deadline, "the deadline passed before the answer was complete"};
}

/// `whom`: a part of t2.
inline error down_error(const std::string& whom) {
  return {ec::unavailable, whom + " is being restarted"};
}

}  // namespace t2
