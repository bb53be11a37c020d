#pragma once

#include "config/result.hpp"

namespace t2 {

/// How `t2` and `t2d` end (docs/formats.md). Scripts read these: never
/// renumber.
enum class exit_code : int {
  ok = 0,
  failed = 1,         // a defect of t2, or a check that did not pass
  usage = 2,          // a flag, key, request or file that says nonsense
  not_found = 3,      // a file, task, expert or version that is not there
  damaged = 4,        // corrupt, or made for another base or version
  unavailable = 5,    // busy, locked by another process, or down
  cancelled = 6,      // cancelled by another request
  out_of_budget = 7,  // a deadline, byte or token budget ran out
  io = 8,             // the operating system refused
  interrupted = 130,  // SIGINT (128 + 2), as shells have it
};

exit_code exit_code_of(ec code);

inline int to_int(exit_code code) {
  return static_cast<int>(code);
}

}  // namespace t2
