#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace t2 {

/// A disk with a volatile cache, as an SQLite VFS over real files: what is
/// written stays in memory until it is synced, and a power cut loses any part
/// of the rest, in any order, torn between sectors. Names are no safer than
/// bytes: a file that was created is there after the cut only once it was
/// synced (the default VFS syncs the folder of a new log then), a deletion may
/// be undone. The real files are read once and written by power_on() alone.
class power_cut_disk {
 public:
  /// What becomes of unsynced changes.
  enum class loss { everything, nothing, some };

  power_cut_disk();
  ~power_cut_disk();
  power_cut_disk(const power_cut_disk&) = delete;
  power_cut_disk& operator=(const power_cut_disk&) = delete;

  /// For store_options::vfs.
  const std::string& vfs_name() const { return name_; }

  /// The power goes during the `operation`th change from now on (1: the next
  /// one): it and all later ones fail.
  void cut_power_at(std::int64_t operation) { cut_at_ = count_ + operation; }
  void cut_power() { powered_ = false; }
  bool powered() const { return powered_; }

  /// The `operation`th change from now on fails once with `code`. A failed
  /// sync drops the pages it was for, as Linux does: they are read as
  /// written, and no later sync writes them.
  void fail_at(std::int64_t operation, int code) {
    fail_at_ = count_ + operation;
    fail_with_ = code;
  }

  /// Writes that would make a file longer than this fail with SQLITE_FULL.
  void set_capacity(std::int64_t bytes) { capacity_ = bytes; }

  /// Changes so far: writes, truncations, syncs, creations, deletions.
  std::int64_t count() const { return count_; }

  /// After a cut: writes to the real files what survived.
  void power_on(loss what, std::mt19937& random);

 private:
  friend struct power_cut_vfs;

  struct change {
    std::int64_t offset = 0;
    std::string bytes{};
    bool truncates = false;  // to `offset` bytes
  };
  struct disk_file {
    std::string durable{};  // what the disk holds under the present name
    std::string current{};  // what programs see
    std::vector<change> unsynced{};
    bool exists = false;        // for programs
    bool name_durable = false;  // the disk knows the present file by its name
    // The file that had the name on the disk before, where its deletion is
    // not durable yet.
    std::optional<std::string> before{};
  };

  disk_file& file(const std::string& path);
  /// Counts a change; SQLITE_OK, or the error that it ends in.
  int begin_change();
  int write(disk_file& target, change made);
  static void apply(std::string& content, const change& made);
  static std::string survivor(const disk_file& cut, loss what,
                              std::mt19937& random);

  std::string name_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  std::map<std::string, disk_file> files_;
  std::int64_t count_ = 0, cut_at_ = -1, fail_at_ = -1;
  std::int64_t capacity_ = INT64_MAX;
  int fail_with_ = SQLITE_OK;
  bool powered_ = true;
};

}  // namespace t2
