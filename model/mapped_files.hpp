#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/result.hpp"

namespace t2 {

class file_mapping;

/// One state of one file: which inode it is, and its size and times (ns). The
/// time of the last change (ctime) cannot be set back by anybody, so that equal
/// states mean equal bytes; other states need not mean other bytes (chmod).
struct file_state {
  std::uint64_t device = 0, inode = 0;
  std::int64_t size = 0, modified_ns = 0, changed_ns = 0;

  static file_state of(const struct stat& status);
  /// Of what the path leads to; ec::not_found, ec::io.
  static result<file_state> of(const std::filesystem::path& path);

  bool same_file(const file_state& other) const {
    return device == other.device && inode == other.inode;
  }
  friend bool operator==(const file_state&, const file_state&) = default;
};

/// A file that the process has mapped, and its state when it was.
struct mapped_file {
  std::filesystem::path path;
  file_state state;
};

/// The files that are mapped now, each state of each once. Any thread.
std::vector<mapped_file> mapped_files();

/// Gives back to the system what this process needs no longer: pages of mapped files
/// that it has read (who reads them again gets them from the system's cache), and
/// what the allocator keeps free. After a model is loaded, factors are converted, a
/// training ends. Any thread.
void give_back_memory();

/// Reading a page that a file has lost raises SIGBUS. From here on that is one
/// line on standard error (and in the log's file) that names the file, and the
/// exit code `damaged`. Any other SIGBUS ends the process as before. Once, in
/// `main`. `log_file`: empty: none.
void report_lost_pages(const std::string& program, const std::string& log_file);

/// Private to file_mapping: what lost pages are looked up in. There is room for
/// 4,096 mappings; those beyond it end the process without a line.
namespace mapping_table {
void add(const file_mapping& mapping);
void remove(const file_mapping& mapping);
}  // namespace mapping_table

}  // namespace t2
