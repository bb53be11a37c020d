#include "store/expert_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <system_error>

#include "config/durable_file.hpp"
#include "config/logging.hpp"
#include "store/audit_log.hpp"
#include "store/expert_store_state.hpp"
#include "store/row_check.hpp"
#include "store/schema.hpp"

namespace t2 {
namespace {

namespace fs = std::filesystem;

std::int64_t system_clock_micros() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch())
      .count();
}

fs::path beside(fs::path path, std::string_view suffix) {
  path += suffix;
  return path;
}

fs::path log_of(const fs::path& store) {
  return beside(store, "-wal");
}
fs::path journal_of(const fs::path& store) {
  return beside(store, "-journal");
}

bool holds_bytes(const fs::path& path) {
  std::error_code missing;
  const auto size = fs::file_size(path, missing);
  return !missing && size > 0;
}

// Whether a crash left changes that the file itself does not hold yet.
bool has_unfolded_log(const fs::path& store) {
  return holds_bytes(log_of(store)) || holds_bytes(journal_of(store));
}

void create_store(const fs::path& path, std::int64_t now) {
  if (has_unfolded_log(path)) {
    fail(ec::corrupt, "store " + path.string() +
                          ": expected the file of the log " +
                          log_of(path).string() + ", found none");
  }
  const auto bytes =
      new_store_file(store_migrations(), [&](sqlite_database& db) {
        append_audit(db, now, "create", path.filename().string());
      });
  value_or_fail(write_file_durably(path, bytes, readable_by::owner));
}

void verify_file_start(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 100> header{};
  file.read(header.data(), header.size());
  if (file.bad() || !fs::is_regular_file(path)) {
    fail(ec::io, "cannot read store " + path.string());
  }
  const auto size = static_cast<std::size_t>(file.gcount());
  verify_header(std::as_bytes(std::span(header.data(), size)), path.string(),
                store_migrations());
}

// This process alone has the file, so SQLite may keep the log's index in its
// own memory instead of a third file.
sqlite_database open_exclusive(const fs::path& path, const std::string& vfs) {
  auto db = sqlite_database::open(path.string(),
                                  sqlite_database::mode::read_write, vfs);
  db.execute("PRAGMA locking_mode=EXCLUSIVE");
  db.checkpoint_on_close(false);
  return db;
}

void begin_writing(sqlite_database& db, const fs::path& path,
                   std::int64_t now) {
  if (sqlite3_db_readonly(db.handle(), "main") != 0) {
    fail(ec::io, "store " + path.string() + ": the file is not writable");
  }
  if (db.text("PRAGMA journal_mode=WAL") != "wal") {
    fail(ec::io, "store " + path.string() + ": no write-ahead log here");
  }
  db.execute("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
  const auto newest = store_migrations().back().version;
  if (db.integer("PRAGMA user_version") < newest) {
    sqlite_transaction transaction(db);
    const auto before = apply_migrations(db, store_migrations());
    append_audit(db, now, "migrate", path.filename().string(),
                 "{\"from\":" + std::to_string(before) +
                     ",\"to\":" + std::to_string(newest) + "}");
    transaction.commit();
  }
  db.checkpoint_on_close(true);
}

// A reader cannot migrate what it reads.
void require_newest(sqlite_database& db, const fs::path& path) {
  const auto newest = store_migrations().back().version;
  const auto found = db.integer("PRAGMA user_version");
  if (found == newest) return;
  fail(ec::incompatible,
       "store " + path.string() + ": expected schema version " +
           std::to_string(newest) + ", found " + std::to_string(found) +
           ": opened once for writing it is migrated");
}

// Nothing is written to the store before all of it has been verified, and a
// log that a crash left is folded in only by a writer, and only after that.
sqlite_database open_verified(const fs::path& path,
                              const store_options& options) {
  verify_file_start(path);
  const bool unfolded = has_unfolded_log(path);
  if (unfolded) {
    auto db = open_exclusive(path, options.vfs);
    verify_database(db, store_migrations());
    if (options.read_only) {
      require_newest(db, path);
      db.execute("PRAGMA query_only=ON");
    } else {
      begin_writing(db, path, options.clock());
    }
    return db;
  }
  auto at_rest = sqlite_database::open(
      path.string(), sqlite_database::mode::immutable, options.vfs);
  verify_database(at_rest, store_migrations());
  if (options.read_only) {
    require_newest(at_rest, path);
    return at_rest;
  }
  auto db = open_exclusive(path, options.vfs);
  begin_writing(db, path, options.clock());
  return db;
}

/// Prompts and examples are nobody else's to read: what an older version made, or
/// was copied here, is narrowed. SQLite gives its log the file's mode.
void take_from_others(const fs::path& store) {
  for (const fs::path& file : {store, log_of(store), journal_of(store),
                               beside(store, "-shm"), beside(store, ".lock")}) {
    const auto narrowed = make_private(file);
    if (!narrowed) {
      log(log_level::warn, "the store: " + narrowed.error().message);
    } else if (*narrowed) {
      log(log_level::warn, "the store: others could read " + file.string() +
                               "; its mode is 600 now");
    }
  }
}

store_lock lock_store(const fs::path& path, const store_options& options) {
  using kind = store_lock::kind;
  // Looking through a log takes SQLite's own exclusive lock as well.
  const bool shared = options.read_only && !has_unfolded_log(path);
  return value_or_fail(store_lock::acquire(
      path, shared ? kind::shared : kind::exclusive, options.socket_path));
}

fs::path canonical_path(const fs::path& path) {
  std::error_code failed;
  fs::path canonical = fs::weakly_canonical(fs::absolute(path), failed);
  return failed ? path : canonical;
}

}  // namespace

result<expert_store> expert_store::open(const fs::path& path,
                                        store_options options) {
  return guarded([&] {
    if (!options.clock) options.clock = system_clock_micros;
    const fs::path file = canonical_path(path);
    if (options.read_only && !fs::exists(file)) {
      fail(ec::not_found, "no store " + file.string());
    }
    store_lock lock = lock_store(file, options);
    if (!fs::exists(file)) create_store(file, options.clock());
    if (!options.read_only) take_from_others(file);
    sqlite_database db = open_verified(file, options);
    return expert_store(std::make_unique<state>(
        state{std::move(lock), file, std::move(options), std::move(db), {}}));
  });
}

expert_store::expert_store(std::unique_ptr<state> s) : state_(std::move(s)) {}
expert_store::expert_store(expert_store&&) noexcept = default;
expert_store& expert_store::operator=(expert_store&&) noexcept = default;
expert_store::~expert_store() = default;

const fs::path& expert_store::path() const {
  return state_->path;
}

std::string expert_store::state::detail(std::string members) const {
  return audit_detail(std::move(members), caller);
}

void expert_store::act_for(std::string caller) {
  state_->caller = std::move(caller);
}

result<std::vector<audit_entry>> expert_store::audit(std::int64_t last) {
  return state_->read(
      [&](sqlite_database& db) { return read_audit(db, last); });
}

result<std::vector<std::string>> expert_store::check() {
  return state_->read(find_problems);
}

result<void> expert_store::backup(const fs::path& path) {
  return state_->read([&](sqlite_database& db) {
    const fs::path target = canonical_path(path);
    if (fs::exists(target) || has_unfolded_log(target)) {
      fail(ec::already_exists,
           "backup " + target.string() + ": expected no such file, found one");
    }
    const fs::path unfinished =
        target.parent_path() / ("." + target.filename().string() +
                                ".unfinished-" + std::to_string(::getpid()));
    fs::remove(unfinished);
    const std::shared_ptr<void> remover(nullptr, [&](void*) {
      std::error_code ignored;
      fs::remove(unfinished, ignored);
    });
    {
      value_or_fail(create_private_file(unfinished));
      auto copy = sqlite_database::open(unfinished.string(),
                                        sqlite_database::mode::read_write);
      // Not durable before it is verified and placed: SQLite need not sync.
      copy.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF");
      db.copy_to(copy);
    }
    auto copy = sqlite_database::open(unfinished.string(),
                                      sqlite_database::mode::immutable);
    verify_database(copy, store_migrations());
    const auto problems = find_problems(copy);
    if (!problems.empty()) {
      fail(ec::corrupt, "backup " + target.string() + ": " + problems.front());
    }
    value_or_fail(place_file_durably(unfinished, target));
  });
}

}  // namespace t2
