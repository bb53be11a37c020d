#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "sandbox/child_process.hpp"

namespace t2 {

struct sandbox_limits {
  std::chrono::milliseconds wall{10'000};
  std::int64_t cpu_seconds = 10;      // of one process
  std::int64_t memory = 512LL << 20;  // address space of one process, and what
                                      // all of them hold together; bytes
  std::int64_t processes = 8;         // and threads
  std::int64_t output = 1 << 20;      // stdout and stderr together; bytes
  std::int64_t files = 16 << 20;      // of /tmp, and of one file; bytes
};

/// A file that the guest finds, readable by all and written by none.
struct sandbox_file {
  std::string path;  // absolute, in the sandbox
  std::string content;
};

struct sandbox_program {
  std::vector<std::string> argv;  // argv[0] may be a name: PATH is /usr/bin:/bin
  std::string input = {};         // its standard input
  std::vector<sandbox_file> files = {};
  sandbox_limits limits = {};
};

/// Runs programs that nobody vouches for. A guest sees /usr of the host
/// (read-only; with /bin and /lib), an empty /tmp of its own, /dev/null,
/// /dev/zero, /dev/urandom, and what it was given; no /proc, no network, no
/// process but its own, no variable of ours. It is an unprivileged user also
/// where we are root, cannot become another, and meets the limits above.
/// Its standard input, output and error are its only open files.
///
/// By bubblewrap (namespaces, mounts), seccomp (syscall_filter.hpp) and
/// rlimits. Root gives each run a user id that nobody else has, so that limits
/// on processes count it alone, and needs no user namespace (a chroot has
/// none); others get a user namespace. Not limited: how many empty files /tmp
/// holds (kernel memory, as many as the time allows).
class sandbox {
 public:
  /// Looks for bubblewrap and tries it once. ec::unavailable says what was
  /// expected and what was found.
  static result<sandbox> open();

  /// Runs a program to its end; nothing of it is left afterwards. Any thread,
  /// several at once. Errors are the sandbox's own: ec::unavailable where it
  /// could not be set up, ec::io.
  result<child_outcome> run(const sandbox_program& program,
                            std::stop_token stop = {}) const;

 private:
  sandbox() = default;
  std::vector<std::string> command_line(const sandbox_program& program) const;

  std::string bubblewrap_;
  std::string filter_;
  bool as_root_ = false;     // real root: ids and capabilities are ours to give
  bool mount_root_ = false;  // / is no mount
};

}  // namespace t2
