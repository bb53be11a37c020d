#include "sandbox/sandbox.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <set>
#include <sstream>
#include <string_view>

#include "sandbox/syscall_filter.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

constexpr int report_file = 3, filter_file = 4, first_file = 5;
constexpr std::uint64_t open_files = 64;
constexpr int niceness = 10;  // queries go first
/// Of user namespaces: their first process counts too.
constexpr std::int64_t bubblewraps_own = 1;

std::string find_program(std::string_view name) {
  for (const char* folder : {"/usr/bin", "/bin", "/usr/local/bin"}) {
    const fs::path file = fs::path(folder) / name;
    if (access(file.c_str(), X_OK) == 0) return file.string();
  }
  return {};
}

/// Root of the machine, not of a container that maps ids.
bool is_real_root() {
  if (geteuid() != 0) return false;
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 1, outside = 1, count = 0;
  map >> inside >> outside >> count;
  return inside == 0 && outside == 0 && count == 4294967295U;
}

bool is_a_mount(std::string_view path) {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string skipped, at;
    fields >> skipped >> skipped >> skipped >> skipped >> at;
    if (at == path) return true;
  }
  return false;
}

/// A user id for one run, far above those that people and services have.
std::string an_unused_id() {
  static std::atomic<unsigned> runs{0};
  constexpr unsigned first = 0x60000000, of_one = 256, processes = 1 << 20;
  return std::to_string(first +
                        static_cast<unsigned>(getpid()) % processes * of_one +
                        runs++ % of_one);
}

void append(std::vector<std::string>& to,
            std::initializer_list<std::string_view> words) {
  to.insert(to.end(), words.begin(), words.end());
}

/// /usr, and the folders beside it that are links into it or its like.
void show_system(std::vector<std::string>& to) {
  append(to, {"--ro-bind", "/usr", "/usr"});
  for (const char* name : {"/bin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    std::error_code failed;
    if (fs::is_symlink(name, failed))
      append(to, {"--symlink", fs::read_symlink(name, failed).string(), name});
    else if (fs::is_directory(name, failed))
      append(to, {"--ro-bind", name, name});
  }
}

void place_files(std::vector<std::string>& to,
                 const std::vector<sandbox_file>& files) {
  std::set<std::string> made{"/", "/tmp", "/usr"};
  int number = first_file;
  for (const sandbox_file& file : files) {
    fs::path folder = "/";
    for (const fs::path& part : fs::path(file.path).parent_path()) {
      folder /= part;
      if (made.insert(folder.string()).second)
        append(to, {"--perms", "0755", "--dir", folder.string()});
    }
    append(to, {"--perms", "0444", "--file", std::to_string(number++),
                file.path});
  }
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::vector<std::string> sandbox::command_line(
    const sandbox_program& program) const {
  std::vector<std::string> line{bubblewrap_};
  append(line, {"--unshare-pid", "--unshare-ipc", "--unshare-uts",
                "--unshare-net", "--unshare-cgroup-try", "--die-with-parent",
                "--new-session", "--clearenv", "--cap-drop", "ALL"});
  append(line, {"--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/tmp",
                "--setenv", "LANG", "C.UTF-8"});
  // Root drops its id itself, further down; bubblewrap does it for others.
  if (as_root_)
    append(line, {"--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
                  "--cap-add", "CAP_SETPCAP"});
  else
    append(line, {"--unshare-user", "--uid", "65534", "--gid", "65534"});
  append(line, {"--hostname", "sandbox"});
  show_system(line);
  append(line, {"--perms", "1777", "--size",
                std::to_string(program.limits.files), "--tmpfs", "/tmp"});
  append(line, {"--perms", "0755", "--dir", "/dev"});
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/urandom"})
    append(line, {"--dev-bind", device, device});
  place_files(line, program.files);
  append(line, {"--remount-ro", "/", "--chdir", "/tmp"});
  append(line, {"--json-status-fd", std::to_string(report_file), "--seccomp",
                std::to_string(filter_file), "--"});
  if (as_root_) {
    const std::string id = an_unused_id();
    append(line, {"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups",
                  "--inh-caps=-all", "--bounding-set=-all", "--"});
  } else {
    const std::string most =
        std::to_string(program.limits.processes + bubblewraps_own);
    append(line, {"prlimit", "--nproc=" + most + ":" + most, "--"});
  }
  line.insert(line.end(), program.argv.begin(), program.argv.end());
  return line;
}

result<sandbox> sandbox::open() {
  sandbox made;
  made.bubblewrap_ = find_program("bwrap");
  if (made.bubblewrap_.empty())
    return error{ec::unavailable,
                 "sandbox: expected bubblewrap (bwrap) in /usr/bin, found "
                 "none: install the package bubblewrap"};
  auto filter = make_syscall_filter();
  if (!filter) return filter.error();
  made.filter_ = *std::move(filter);
  made.as_root_ = is_real_root();
  made.mount_root_ = made.as_root_ && !is_a_mount("/");
  const auto tried = made.run({.argv = {"true"}});
  if (!tried) return tried.error();
  if (tried->end != child_end::exited || tried->status != 0)
    return error{ec::unavailable,
                 "sandbox: expected bubblewrap to run 'true', found: " +
                     first_line(tried->err)};
  return made;
}

result<child_outcome> sandbox::run(const sandbox_program& program,
                                   std::stop_token stop) const {
  const sandbox_limits& limits = program.limits;
  child_program child;
  child.argv = command_line(program);
  child.input = program.input;
  child.wall = limits.wall;
  child.output = limits.output;
  child.memory = limits.memory;
  child.niceness = niceness;
  child.mount_root = mount_root_;
  child.reports_guest = true;
  const auto bytes = [](std::int64_t n) {
    return static_cast<std::uint64_t>(n);
  };
  child.limits = {{RLIMIT_CPU, bytes(limits.cpu_seconds)},
                  {RLIMIT_AS, bytes(limits.memory)},
                  {RLIMIT_FSIZE, bytes(limits.files)},
                  {RLIMIT_NOFILE, open_files},
                  {RLIMIT_CORE, 0},
                  {RLIMIT_MEMLOCK, 0},
                  {RLIMIT_MSGQUEUE, 0}};
  if (as_root_)
    child.limits.emplace_back(RLIMIT_NPROC, bytes(limits.processes));
  auto filter = file_in_memory(filter_);
  if (!filter) return filter.error();
  child.files.push_back(std::move(*filter));
  for (const sandbox_file& file : program.files) {
    auto content = file_in_memory(file.content);
    if (!content) return content.error();
    child.files.push_back(std::move(*content));
  }
  auto outcome = run_child(std::move(child), std::move(stop));
  if (!outcome) return outcome;
  if (outcome->end == child_end::exited &&
      outcome->report.find("\"exit-code\"") == std::string::npos)
    return error{ec::unavailable,
                 "sandbox: expected bubblewrap to make namespaces (as root, or "
                 "where unprivileged users may make them), found: " +
                     first_line(outcome->err)};
  return outcome;
}

}  // namespace t2
