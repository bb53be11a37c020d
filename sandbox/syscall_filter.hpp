#pragma once

#include <string>

#include "config/result.hpp"

namespace t2 {

/// A seccomp program (struct sock_filter[], as bwrap reads it) that refuses
/// what a guest of the sandbox has no business with: namespaces, mounts,
/// tracing and reading other processes, keys, BPF, io_uring, memory that no
/// limit counts (memfd, System V), every socket but a pair of Unix ones,
/// modules, clocks, kexec, reboot. Refused calls fail with EPERM, clone3 with
/// ENOSYS (so that libc falls back to clone, whose flags can be read). Calls
/// of another architecture kill.
result<std::string> make_syscall_filter();

}  // namespace t2
