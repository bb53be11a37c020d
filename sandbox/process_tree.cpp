#include "sandbox/process_tree.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace t2 {
namespace {

namespace fs = std::filesystem;

fs::path folder(pid_t process) {
  return fs::path("/proc") / std::to_string(process);
}

}  // namespace

std::vector<pid_t> process_tree(pid_t root) {
  std::error_code failed;
  std::vector<pid_t> found;
  if (root <= 0 || !fs::exists(folder(root), failed)) return found;
  found.push_back(root);
  for (std::size_t next = 0; next < found.size(); ++next) {
    fs::directory_iterator tasks(folder(found[next]) / "task", failed), end;
    for (; !failed && tasks != end; tasks.increment(failed)) {
      std::ifstream children(tasks->path() / "children");
      for (pid_t child = 0; children >> child;) found.push_back(child);
    }
  }
  return found;
}

std::int64_t resident_bytes(const std::vector<pid_t>& processes) {
  std::int64_t pages = 0;
  for (const pid_t process : processes) {
    std::ifstream statm(folder(process) / "statm");
    std::int64_t size = 0, resident = 0;
    if (statm >> size >> resident) pages += resident;
  }
  return pages * sysconf(_SC_PAGESIZE);
}

}  // namespace t2
