#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "config/result.hpp"
#include "sandbox/file_descriptor.hpp"

namespace t2 {

/// A program to start, and when to end it.
struct child_program {
  std::vector<std::string> argv;         // argv[0] is a path
  std::vector<std::string> environment;  // NAME=VALUE
  std::string input;                     // its standard input, from a file
  /// What the child inherits beside 0, 1 and 2, under the numbers 3, 4, ... (4,
  /// 5, ... where 3 is the report).
  std::vector<file_descriptor> files;
  std::vector<std::pair<int, std::uint64_t>> limits;  // RLIMIT_*, hard = soft
  int niceness = 0;  // added to ours
  /// Root in a chroot: bubblewrap wants / to be a mount, so the child makes it
  /// one, in a mount namespace of its own.
  bool mount_root = false;
  /// It writes {"child-pid": N} to file 3: the guest is N and what descends
  /// from it, and is over when N has ended.
  bool reports_guest = false;

  std::chrono::milliseconds wall{10'000};
  std::int64_t output = 1 << 20;  // of stdout and stderr together, in bytes
  std::int64_t memory = 0;  // resident, of all guests together; 0: no limit
};

enum class child_end : std::uint8_t {
  exited,     // by itself; see status
  wall_time,  // killed: it took too long
  output,     // killed: it wrote too much
  memory,     // killed: its processes together held too much
  cancelled   // killed: the caller's stop
};

struct child_outcome {
  child_end end = child_end::exited;
  int status = 0;  // exit code; 128 + N: signal N
  std::string out, err;
  std::string report;  // what was written to file 3
  double seconds = 0;
};

/// Starts the program in a session of its own, feeds it, and waits for its
/// end. Whatever of it is left is killed before this returns. Any thread,
/// several at once; no file of this process leaks into the child. ec::io: it
/// could not be started.
result<child_outcome> run_child(child_program program,
                                std::stop_token stop = {});

/// A file in memory with this content, to be read from its start.
result<file_descriptor> file_in_memory(const std::string& content);

}  // namespace t2
