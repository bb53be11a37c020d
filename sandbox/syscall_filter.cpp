#include "sandbox/syscall_filter.hpp"

#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <seccomp.h>

#include "sandbox/file_descriptor.hpp"

namespace t2 {
namespace {

constexpr const char* refused[] = {
    // namespaces and mounts
    "unshare", "setns", "mount", "umount", "umount2", "pivot_root", "chroot",
    "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd", "acct",
    "name_to_handle_at", "open_by_handle_at", "fanotify_init", "mknod",
    "mknodat",
    // other processes
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
    "process_mrelease", "kcmp", "pidfd_getfd", "move_pages", "migrate_pages",
    // doors into the kernel
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
    "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key",
    "init_module", "finit_module", "delete_module", "create_module",
    "kexec_load", "kexec_file_load", "reboot", "iopl", "ioperm", "modify_ldt",
    "syslog", "lookup_dcookie", "nfsservctl", "vhangup", "uselib",
    "_sysctl", "sysfs", "ustat", "personality", "vmsplice",
    // the machine's clock and name
    "settimeofday", "stime", "clock_settime", "clock_adjtime", "adjtimex",
    "sethostname", "setdomainname",
    // memory that no limit of a process counts
    "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "msgget",
    "semget", "mq_open", "set_mempolicy", "mbind",
    // network
    "socket", "socketcall", "connect", "bind", "listen", "accept", "accept4"};

constexpr std::uint64_t namespaces[] = {
    CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
    CLONE_NEWUSER, CLONE_NEWPID,   CLONE_NEWNET};

using context = std::unique_ptr<void, decltype(&seccomp_release)>;

error refusal(const char* step, int code) {
  return {ec::unavailable, std::string("sandbox: libseccomp: ") + step + ": " +
                               std::strerror(code < 0 ? -code : code)};
}

int add_rules(scmp_filter_ctx filter) {
  for (const char* name : refused) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;  // not in this libseccomp
    if (const int r =
            seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0))
      return r;
  }
  for (const std::uint64_t flag : namespaces) {
    const scmp_arg_cmp has{.arg = 0,
                           .op = SCMP_CMP_MASKED_EQ,
                           .datum_a = flag,
                           .datum_b = flag};
    if (const int r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM),
                                             SCMP_SYS(clone), 1, &has))
      return r;
  }
  if (const int r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS),
                                           SCMP_SYS(clone3), 0, nullptr))
    return r;
  const scmp_arg_cmp not_unix{
      .arg = 0, .op = SCMP_CMP_NE, .datum_a = AF_UNIX, .datum_b = 0};
  if (const int r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM),
                                           SCMP_SYS(socketpair), 1, &not_unix))
    return r;
  // Typing into a terminal; the kernel reads 32 bits of the request.
  for (const std::uint64_t request : {TIOCSTI, TIOCLINUX}) {
    const scmp_arg_cmp is{.arg = 1,
                          .op = SCMP_CMP_MASKED_EQ,
                          .datum_a = 0xffffffffU,
                          .datum_b = request};
    if (const int r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM),
                                             SCMP_SYS(ioctl), 1, &is))
      return r;
  }
  return 0;
}

}  // namespace

result<std::string> make_syscall_filter() {
  const context filter{seccomp_init(SCMP_ACT_ALLOW), seccomp_release};
  if (!filter) return refusal("seccomp_init", ENOMEM);
  if (const int r = add_rules(filter.get())) return refusal("a rule", r);
  const file_descriptor memory{memfd_create("t2-filter", MFD_CLOEXEC)};
  if (!memory) return refusal("memfd_create", errno);
  if (const int r = seccomp_export_bpf(filter.get(), memory.get()))
    return refusal("seccomp_export_bpf", r);
  std::string program(
      static_cast<std::size_t>(lseek(memory.get(), 0, SEEK_CUR)), '\0');
  if (pread(memory.get(), program.data(), program.size(), 0) !=
      static_cast<ssize_t>(program.size()))
    return refusal("reading the program", EIO);
  return program;
}

}  // namespace t2
