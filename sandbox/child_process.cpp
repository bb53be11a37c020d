#include "sandbox/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "sandbox/process_tree.hpp"

namespace t2 {
namespace {

using steady = std::chrono::steady_clock;
constexpr int first_inherited = 3;
constexpr std::chrono::milliseconds tick{25};      // stop and memory
constexpr std::chrono::milliseconds farewell{5000};  // for the killed to go

error failure(const char* what, int code) {
  return {ec::io, std::string("child process: ") + what + ": " +
                      std::strerror(code)};
}

/// What the child reads, and where it says why it did not start. The child
/// runs in this process's memory until it has become the program: it allocates
/// nothing and calls nothing but the kernel.
struct child_plan {
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const int* inherited = nullptr;  // 0, 1, 2, then files; all above `count`
  int count = 0;
  const std::pair<int, std::uint64_t>* limits = nullptr;
  std::size_t limit_count = 0;
  int niceness = 0;
  bool mount_root = false;

  const char* volatile step = nullptr;
  volatile int code = 0;
};

[[noreturn]] void give_up(child_plan& plan, const char* step) {
  plan.code = errno;
  plan.step = step;
  _exit(127);
}

/// Where / is no mount (a chroot), a copy of it becomes one at /proc: mounts
/// there spread to nobody.
void make_root_a_mount(child_plan& plan) {
  if (unshare(CLONE_NEWNS) != 0) give_up(plan, "unshare");
  if (mount(nullptr, "/proc", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0)
    give_up(plan, "making /proc private");
  if (mount("/", "/proc", nullptr, MS_BIND | MS_REC, nullptr) != 0)
    give_up(plan, "binding /");
  if (mount(nullptr, "/proc", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0)
    give_up(plan, "making the root private");
  if (chroot("/proc") != 0 || chdir("/") != 0) give_up(plan, "chroot");
}

[[noreturn]] void become(child_plan& plan) {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (setsid() < 0) give_up(plan, "setsid");
  if (plan.mount_root) make_root_a_mount(plan);
  for (int i = 0; i < plan.count; ++i)
    if (dup2(plan.inherited[i], i) < 0) give_up(plan, "dup2");
  // What libraries opened without close-on-exec.
  if (syscall(SYS_close_range, plan.count, ~0U, 0) != 0)
    give_up(plan, "close_range");
  if (plan.niceness != 0)
    syscall(SYS_setpriority, 0, 0,
            static_cast<int>(20 - syscall(SYS_getpriority, 0, 0)) +
                plan.niceness);
  for (std::size_t i = 0; i < plan.limit_count; ++i) {
    const rlimit64 limit{plan.limits[i].second, plan.limits[i].second};
    if (syscall(SYS_prlimit64, 0, plan.limits[i].first, &limit, nullptr) != 0)
      give_up(plan, "setrlimit");
  }
  execve(plan.argv[0], plan.argv, plan.environment);
  give_up(plan, plan.argv[0]);
}

/// vfork: the pages of a large process are not copied. Signals wait, so that
/// no handler of ours runs in the child.
__attribute__((noinline)) pid_t start(child_plan& plan) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = vfork();
  if (child == 0) become(plan);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return child;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts)
    list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

struct pipe_ends {
  file_descriptor read, write;
};

result<pipe_ends> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return failure("pipe", errno);
  return pipe_ends{file_descriptor{ends[0]}, file_descriptor{ends[1]}};
}

file_descriptor open_process(pid_t process) {
  return file_descriptor{
      static_cast<int>(syscall(SYS_pidfd_open, process, 0))};
}

/// The number after "child-pid": in bubblewrap's report.
pid_t reported_guest(std::string_view report) {
  constexpr std::string_view key = "\"child-pid\":";
  const auto at = report.find(key);
  if (at == std::string_view::npos) return 0;
  const char* begin = report.data() + at + key.size();
  const char* end = report.data() + report.size();
  while (begin < end && *begin == ' ') ++begin;
  pid_t guest = 0;
  const auto read = std::from_chars(begin, end, guest);
  return read.ec == std::errc{} && read.ptr < end ? guest : 0;
}

/// One that runs: reads what it writes, and ends it.
class running_child {
 public:
  running_child(pid_t child, file_descriptor out, file_descriptor err,
                file_descriptor report)
      : child_(child),
        process_(open_process(child)),
        streams_{std::move(out), std::move(err), std::move(report)} {}
  ~running_child() {
    if (child_ > 0) kill_and_reap();
  }

  result<child_outcome> wait(const child_program& program,
                             const std::stop_token& stop);

 private:
  void read_stream(std::size_t which);
  bool poll_once(std::chrono::milliseconds wait);
  void kill_and_reap();
  void reap();
  std::int64_t written() const {
    return static_cast<std::int64_t>(outcome_.out.size() +
                                     outcome_.err.size());
  }

  pid_t child_;
  pid_t guest_ = 0;
  file_descriptor process_, guest_process_;
  std::array<file_descriptor, 3> streams_;  // out, err, report
  bool gone_ = false;
  child_outcome outcome_;
};

void running_child::read_stream(std::size_t which) {
  std::array<char, 65536> buffer;
  const auto got = read(streams_[which].get(), buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    streams_[which].reset();
    return;
  }
  std::string* const into[] = {&outcome_.out, &outcome_.err, &outcome_.report};
  into[which]->append(buffer.data(), static_cast<std::size_t>(got));
  if (which == 2 && guest_ == 0) {
    guest_ = reported_guest(outcome_.report);
    if (guest_ > 0) guest_process_ = open_process(guest_);
  }
}

/// Reads what there is. False once all streams are at their end and the
/// process is gone.
bool running_child::poll_once(std::chrono::milliseconds wait) {
  std::array<pollfd, 4> polled{};
  for (std::size_t i = 0; i < streams_.size(); ++i)
    polled[i] = {.fd = streams_[i].get(), .events = POLLIN, .revents = 0};
  polled[3] = {
      .fd = gone_ ? -1 : process_.get(), .events = POLLIN, .revents = 0};
  if (poll(polled.data(), polled.size(), static_cast<int>(wait.count())) > 0) {
    for (std::size_t i = 0; i < streams_.size(); ++i)
      if (polled[i].revents != 0) read_stream(i);
    if (polled[3].revents != 0) gone_ = true;
  }
  return !gone_ || streams_[0] || streams_[1];
}

result<child_outcome> running_child::wait(const child_program& program,
                                          const std::stop_token& stop) {
  const auto begin = steady::now();
  const auto deadline = begin + program.wall;
  auto next_tick = begin + tick;
  while (true) {
    const auto now = steady::now();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        std::min(deadline, next_tick) - now);
    if (!poll_once(std::max(left, std::chrono::milliseconds{0}))) break;
    if (gone_ && program.reports_guest) break;  // its namespace is over
    if (written() > program.output) {
      outcome_.end = child_end::output;
      break;
    }
    const auto then = steady::now();
    if (then >= deadline) {
      outcome_.end = child_end::wall_time;
      break;
    }
    if (then < next_tick) continue;
    next_tick = then + tick;
    if (stop.stop_requested()) {
      outcome_.end = child_end::cancelled;
      break;
    }
    if (program.memory > 0 && guest_ > 0 &&
        resident_bytes(process_tree(guest_)) > program.memory) {
      outcome_.end = child_end::memory;
      break;
    }
  }
  kill_and_reap();
  // What was in the pipes when it ended.
  while ((streams_[0] || streams_[1] || streams_[2]) &&
         written() <= program.output) {
    const auto before = written() + static_cast<std::int64_t>(
                                        outcome_.report.size());
    const int open = !!streams_[0] + !!streams_[1] + !!streams_[2];
    poll_once(std::chrono::milliseconds{0});
    const int still = !!streams_[0] + !!streams_[1] + !!streams_[2];
    if (open == still && before == written() + static_cast<std::int64_t>(
                                                   outcome_.report.size()))
      break;  // somebody else holds it
  }
  const auto most = static_cast<std::size_t>(program.output);
  if (outcome_.end == child_end::exited && written() > program.output)
    outcome_.end = child_end::output;
  outcome_.out.resize(std::min(outcome_.out.size(), most));
  outcome_.err.resize(std::min(outcome_.err.size(), most));
  outcome_.seconds =
      std::chrono::duration<double>(steady::now() - begin).count();
  return std::move(outcome_);
}

void running_child::reap() {
  int status = 0;
  while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  outcome_.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                        : WEXITSTATUS(status);
  child_ = 0;
}

/// The child leads a session and a process group; a guest in a namespace of
/// its own dies with its first process, which dies with bubblewrap.
void running_child::kill_and_reap() {
  if (guest_ == 0) kill(-child_, SIGKILL);
  kill(child_, SIGKILL);
  reap();
  if (guest_process_) {
    pollfd guest{.fd = guest_process_.get(), .events = POLLIN, .revents = 0};
    poll(&guest, 1, static_cast<int>(farewell.count()));
  }
}

/// Copies above what dup2 will write to.
result<std::vector<file_descriptor>> lifted(const std::vector<int>& files) {
  std::vector<file_descriptor> copies;
  for (const int file : files) {
    const int copy = fcntl(file, F_DUPFD_CLOEXEC,
                           first_inherited + static_cast<int>(files.size()));
    if (copy < 0) return failure("dup", errno);
    copies.emplace_back(copy);
  }
  return copies;
}

}  // namespace

result<file_descriptor> file_in_memory(const std::string& content) {
  file_descriptor file{memfd_create("t2", MFD_CLOEXEC)};
  if (!file) return failure("memfd_create", errno);
  for (std::size_t done = 0; done < content.size();) {
    const auto written =
        write(file.get(), content.data() + done, content.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure("write", errno);
    done += static_cast<std::size_t>(written);
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) return failure("lseek", errno);
  return file;
}

result<child_outcome> run_child(child_program program, std::stop_token stop) {
  auto input = file_in_memory(program.input);
  if (!input) return input.error();
  auto out = make_pipe(), err = make_pipe();
  if (!out) return out.error();
  if (!err) return err.error();
  pipe_ends report;
  if (program.reports_guest) {
    auto made = make_pipe();
    if (!made) return made.error();
    report = std::move(*made);
  }
  std::vector<int> files{input->get(), out->write.get(), err->write.get()};
  if (program.reports_guest) files.push_back(report.write.get());
  for (const file_descriptor& file : program.files) files.push_back(file.get());
  auto inherited = lifted(files);
  if (!inherited) return inherited.error();
  std::vector<int> numbers;
  for (const file_descriptor& file : *inherited) numbers.push_back(file.get());

  const auto argv = pointers(program.argv);
  const auto environment = pointers(program.environment);
  child_plan plan;
  plan.argv = argv.data();
  plan.environment = environment.data();
  plan.inherited = numbers.data();
  plan.count = static_cast<int>(numbers.size());
  plan.limits = program.limits.data();
  plan.limit_count = program.limits.size();
  plan.niceness = program.niceness;
  plan.mount_root = program.mount_root;
  const pid_t child = start(plan);
  if (child < 0) return failure("vfork", errno);
  running_child running{child, std::move(out->read), std::move(err->read),
                        std::move(report.read)};
  if (plan.step != nullptr) return failure(plan.step, plan.code);
  inherited->clear();
  out->write.reset();
  err->write.reset();
  report.write.reset();
  return running.wait(program, stop);
}

}  // namespace t2
