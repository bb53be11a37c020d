#include "tests/store/power_cut_disk.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>

namespace t2 {

namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

sqlite3_vfs* below(sqlite3_vfs* vfs) {
  static sqlite3_vfs* const system = sqlite3_vfs_find("unix");
  return vfs == system ? nullptr : system;
}

}  // namespace

// SQLite's callbacks. A file that it opens is this struct, in its memory.
struct power_cut_vfs {
  struct open_file {
    sqlite3_file base;
    power_cut_disk* disk;
    power_cut_disk::disk_file* file;
    bool syncs_its_name;
  };

  static open_file& of(sqlite3_file* f) {
    return *reinterpret_cast<open_file*>(f);
  }
  static power_cut_disk& disk_of(sqlite3_vfs* vfs) {
    return *static_cast<power_cut_disk*>(vfs->pAppData);
  }

  static int close(sqlite3_file*) { return SQLITE_OK; }

  static int read(sqlite3_file* f, void* into, int size, sqlite3_int64 offset) {
    const std::string& content = of(f).file->current;
    const auto length = static_cast<sqlite3_int64>(content.size());
    const auto got = std::clamp<sqlite3_int64>(length - offset, 0, size);
    std::memset(into, 0, static_cast<std::size_t>(size));
    if (got > 0) {
      std::memcpy(into, content.data() + offset, static_cast<std::size_t>(got));
    }
    return got == size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
  }

  static int write(sqlite3_file* f, const void* from, int size,
                   sqlite3_int64 offset) {
    return of(f).disk->write(
        *of(f).file, {.offset = offset,
                      .bytes = std::string(static_cast<const char*>(from),
                                           static_cast<std::size_t>(size))});
  }

  static int truncate(sqlite3_file* f, sqlite3_int64 size) {
    return of(f).disk->write(*of(f).file, {.offset = size, .truncates = true});
  }

  static int sync(sqlite3_file* f, int) {
    auto& file = *of(f).file;
    if (const int code = of(f).disk->begin_change(); code != SQLITE_OK) {
      if (of(f).disk->powered()) file.unsynced.clear();
      return code;
    }
    for (const auto& made : file.unsynced) {
      power_cut_disk::apply(file.durable, made);
    }
    file.unsynced.clear();
    if (of(f).syncs_its_name) {
      file.name_durable = true;
      file.before.reset();
    }
    return SQLITE_OK;
  }

  static int size(sqlite3_file* f, sqlite3_int64* bytes) {
    *bytes = static_cast<sqlite3_int64>(of(f).file->current.size());
    return SQLITE_OK;
  }

  // One connection has the disk: nobody to lock out.
  static int lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int reserved(sqlite3_file*, int* held) {
    *held = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector(sqlite3_file*) { return 4096; }
  // As the default VFS says of every disk.
  static int traits(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* f,
                  int flags, int* flags_out) {
    static const sqlite3_io_methods methods = [] {
      sqlite3_io_methods m{};
      m.iVersion = 1;
      m.xClose = close;
      m.xRead = read;
      m.xWrite = write;
      m.xTruncate = truncate;
      m.xSync = sync;
      m.xFileSize = size;
      m.xLock = m.xUnlock = lock;
      m.xCheckReservedLock = reserved;
      m.xFileControl = control;
      m.xSectorSize = sector;
      m.xDeviceCharacteristics = traits;
      return m;
    }();
    if (path == nullptr) return system_open(vfs, f, flags, flags_out);
    f->pMethods = nullptr;
    auto& disk = disk_of(vfs);
    auto& file = disk.file(path);
    if (!file.exists) {
      if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
      if (const int code = disk.begin_change(); code != SQLITE_OK) return code;
      file.exists = true;
      file.current.clear();
      file.unsynced.clear();
      file.durable.clear();
      file.name_durable = false;
    }
    const int logs = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
    of(f) = {.base = {.pMethods = &methods},
             .disk = &disk,
             .file = &file,
             .syncs_its_name = (flags & logs) != 0};
    if (flags_out != nullptr) *flags_out = flags;
    return SQLITE_OK;
  }

  // A temporary file that no cut can matter to.
  static int system_open(sqlite3_vfs* vfs, sqlite3_file* f, int flags,
                         int* flags_out) {
    sqlite3_vfs* system = below(vfs);
    return system->xOpen(system, nullptr, f, flags, flags_out);
  }

  static int remove(sqlite3_vfs* vfs, const char* path, int sync_folder) {
    auto& file = disk_of(vfs).file(path);
    if (!file.exists) return SQLITE_IOERR_DELETE_NOENT;
    if (const int code = disk_of(vfs).begin_change(); code != SQLITE_OK) {
      return code;
    }
    if (file.name_durable) file.before = file.durable;
    file.exists = file.name_durable = false;
    file.durable.clear();
    file.current.clear();
    file.unsynced.clear();
    if (sync_folder != 0) file.before.reset();
    return SQLITE_OK;
  }

  static int access(sqlite3_vfs* vfs, const char* path, int, int* answer) {
    *answer = disk_of(vfs).file(path).exists ? 1 : 0;
    return SQLITE_OK;
  }

  static int full_path(sqlite3_vfs* vfs, const char* path, int size,
                       char* out) {
    sqlite3_vfs* system = below(vfs);
    return system->xFullPathname(system, path, size, out);
  }
};

power_cut_disk::power_cut_disk() {
  static std::atomic<int> number{0};
  name_ = "power-cut-" + std::to_string(number++);
  // Randomness, time and sleep are the default's own.
  vfs_ = std::make_unique<sqlite3_vfs>(*sqlite3_vfs_find("unix"));
  vfs_->szOsFile = std::max(vfs_->szOsFile,
                            static_cast<int>(sizeof(power_cut_vfs::open_file)));
  vfs_->zName = name_.c_str();
  vfs_->pAppData = this;
  vfs_->pNext = nullptr;
  vfs_->xOpen = power_cut_vfs::open;
  vfs_->xDelete = power_cut_vfs::remove;
  vfs_->xAccess = power_cut_vfs::access;
  vfs_->xFullPathname = power_cut_vfs::full_path;
  sqlite3_vfs_register(vfs_.get(), 0);
}

power_cut_disk::~power_cut_disk() {
  sqlite3_vfs_unregister(vfs_.get());
}

power_cut_disk::disk_file& power_cut_disk::file(const std::string& path) {
  const auto [at, unknown] = files_.try_emplace(path);
  if (unknown && fs::exists(path)) {
    at->second.durable = at->second.current = content_of(path);
    at->second.exists = at->second.name_durable = true;
  }
  return at->second;
}

int power_cut_disk::begin_change() {
  if (!powered_) return SQLITE_IOERR;
  ++count_;
  if (count_ == cut_at_) {
    powered_ = false;
    return SQLITE_IOERR;
  }
  return count_ == fail_at_ ? fail_with_ : SQLITE_OK;
}

int power_cut_disk::write(disk_file& target, change made) {
  const bool had_power = powered_;
  int code = begin_change();
  const auto end = made.offset + static_cast<std::int64_t>(made.bytes.size());
  const bool grows = end > static_cast<std::int64_t>(target.current.size());
  if (code == SQLITE_OK && grows && end > capacity_) code = SQLITE_FULL;
  if (code == SQLITE_OK) apply(target.current, made);
  // The write that the cut meets may be on its way to the disk.
  if (code == SQLITE_OK || (had_power && !powered_)) {
    target.unsynced.push_back(std::move(made));
  }
  return code;
}

void power_cut_disk::apply(std::string& content, const change& made) {
  const auto offset = static_cast<std::size_t>(made.offset);
  if (made.truncates) {
    content.resize(std::min(offset, content.size()));
    return;
  }
  content.resize(std::max(content.size(), offset + made.bytes.size()));
  content.replace(offset, made.bytes.size(), made.bytes);
}

std::string power_cut_disk::survivor(const disk_file& cut, loss what,
                                     std::mt19937& random) {
  std::string content = cut.durable;
  if (what == loss::everything) return content;
  if (what == loss::nothing) {
    for (const auto& made : cut.unsynced) apply(content, made);
    return content;
  }
  constexpr std::size_t sector = 512;
  std::vector<change> pieces;
  for (const auto& made : cut.unsynced) {
    if (random() % 2 == 0) continue;
    if (made.truncates || random() % 2 == 0) {
      pieces.push_back(made);
      continue;
    }
    for (std::size_t at = 0; at < made.bytes.size();) {
      const auto offset = static_cast<std::size_t>(made.offset) + at;
      const auto length =
          std::min(sector - offset % sector, made.bytes.size() - at);
      if (random() % 2 == 0) {
        pieces.push_back({.offset = static_cast<std::int64_t>(offset),
                          .bytes = made.bytes.substr(at, length)});
      }
      at += length;
    }
  }
  if (random() % 2 == 0) std::shuffle(pieces.begin(), pieces.end(), random);
  for (const auto& piece : pieces) apply(content, piece);
  return content;
}

void power_cut_disk::power_on(loss what, std::mt19937& random) {
  for (const auto& [path, cut] : files_) {
    const auto takes_effect = [&] {
      return what == loss::nothing || (what == loss::some && random() % 2 == 0);
    };
    std::optional<std::string> content = cut.before;
    if (cut.exists && (cut.name_durable || takes_effect())) {
      content = survivor(cut, what, random);
    } else if (!cut.exists && content && takes_effect()) {
      content.reset();
    }
    if (content) {
      std::ofstream(path, std::ios::binary) << *content;
    } else {
      fs::remove(path);
    }
  }
}

}  // namespace t2
