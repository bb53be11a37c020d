#include "model/mapped_files.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "config/exit_code.hpp"
#include "model/file_mapping.hpp"

namespace t2 {
namespace {

// A signal handler can reach nothing but what belongs to the process, and take
// no lock: the table is fixed, and read through atomics.
constexpr std::size_t places = 4096;
std::array<std::atomic<const file_mapping*>, places> table;
std::mutex table_mutex;  // of those who write to it or walk it in peace

std::array<char, 64> program_name{};
std::atomic<int> log_descriptor{-1};

void write_all(int to, const char* text, std::size_t size) {
  while (size > 0) {
    const auto written = ::write(to, text, size);
    if (written <= 0) return;
    text += written;
    size -= static_cast<std::size_t>(written);
  }
}

void write_all(int to, const char* text) {
  write_all(to, text, std::strlen(text));
}

void say_lost(int to, const file_mapping& mapping) {
  write_all(to, program_name.data());
  write_all(to, ": ");
  write_all(to, mapping.name());
  write_all(to,
            ": expected the bytes that were mapped, found them gone: the file "
            "was shortened in place (replace files in use by rename)\n");
}

// Async-signal-safe: atomics, write and _exit.
void on_bus_error(int signal, siginfo_t* info, void*) {
  const auto* at = static_cast<const std::byte*>(info->si_addr);
  for (const auto& place : table) {
    const file_mapping* mapping = place.load(std::memory_order_acquire);
    if (!mapping) continue;
    const auto bytes = mapping->bytes();
    // The last page of a mapping reaches beyond the file's end.
    if (at < bytes.data() || at >= bytes.data() + bytes.size()) continue;
    say_lost(STDERR_FILENO, *mapping);
    if (const int file = log_descriptor.load(); file >= 0)
      say_lost(file, *mapping);
    ::_exit(to_int(exit_code::damaged));
  }
  // Not ours: the instruction faults again, and the system has its way.
  ::signal(signal, SIG_DFL);
}

}  // namespace

file_state file_state::of(const struct stat& status) {
  constexpr std::int64_t billion = 1'000'000'000;
  const auto ns = [](const timespec& time) {
    return std::int64_t{time.tv_sec} * billion + time.tv_nsec;
  };
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = status.st_size,
          .modified_ns = ns(status.st_mtim),
          .changed_ns = ns(status.st_ctim)};
}

result<file_state> file_state::of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    return error{errno == ENOENT ? ec::not_found : ec::io,
                 path.string() + ": stat: " + std::strerror(errno)};
  return of(status);
}

std::vector<mapped_file> mapped_files() {
  std::vector<mapped_file> files;
  const std::lock_guard lock(table_mutex);
  for (const auto& place : table) {
    const file_mapping* mapping = place.load(std::memory_order_relaxed);
    if (!mapping) continue;
    const bool known = std::ranges::any_of(files, [&](const mapped_file& f) {
      return f.path == mapping->name() && f.state == mapping->state();
    });
    if (!known) files.push_back({mapping->name(), mapping->state()});
  }
  return files;
}

void give_back_memory() {
  {
    const std::lock_guard lock(table_mutex);
    for (const auto& place : table)
      if (const auto* mapping = place.load(std::memory_order_relaxed))
        mapping->forget_pages();
  }
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

void report_lost_pages(const std::string& program,
                       const std::string& log_file) {
  program.copy(program_name.data(), program_name.size() - 1);
  if (!log_file.empty())
    log_descriptor = ::open(log_file.c_str(),
                            O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

namespace mapping_table {

void add(const file_mapping& mapping) {
  const std::lock_guard lock(table_mutex);
  const auto free = std::ranges::find_if(
      table, [](const auto& place) { return !place.load(); });
  if (free != table.end())
    free->store(&mapping, std::memory_order_release);
}

void remove(const file_mapping& mapping) {
  const std::lock_guard lock(table_mutex);
  const auto own = std::ranges::find_if(
      table, [&](const auto& place) { return place.load() == &mapping; });
  if (own != table.end()) own->store(nullptr, std::memory_order_release);
}

}  // namespace mapping_table
}  // namespace t2
