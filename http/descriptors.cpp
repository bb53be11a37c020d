#include "http/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>

namespace t2 {
namespace {

std::size_t open_now() {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::directory_iterator all("/proc/self/fd", failed);
  if (failed) return 0;
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

result<std::size_t> connections_that_fit(std::size_t wanted, std::size_t least,
                                         std::size_t others) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  const std::size_t most = limit.rlim_cur;
  const std::size_t taken = open_now() + others;
  if (most < taken + least) {
    return error{ec::exhausted,
                 "open files: expected to be allowed at least " +
                     std::to_string(taken + least) + " (" +
                     std::to_string(least) + " connections, " +
                     std::to_string(taken) +
                     " files and pipes), found a limit of " +
                     std::to_string(most) +
                     ": raise it (ulimit -n, LimitNOFILE=)"};
  }
  return std::min(wanted, most - taken);
}

}  // namespace t2
