#include "store/sqlite_database.hpp"

#include <cctype>
#include <utility>

#include "store/store_failure.hpp"

namespace t2 {
namespace {

ec error_class(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM: return ec::exhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ec::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ec::busy;
    case SQLITE_TOOBIG: return ec::invalid_argument;
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM: return ec::io;
    default: return ec::internal;
  }
}

[[noreturn]] void fail_as_sqlite_says(sqlite3* db, const std::string& label,
                                      int code) {
  const std::string said = db != nullptr ? sqlite3_errmsg(db) : "";
  const std::string name = sqlite3_errstr(code);
  fail(error_class(code), "store " + label + ": " + said +
                              (said == name ? "" : " (" + name + ")") +
                              ", SQLite code " + std::to_string(code));
}

// Everything but what a URI's path may hold as it is.
std::string percent_encoded(const std::string& path) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '.' || c == '-' ||
        c == '_') {
      encoded += c;
    } else {
      encoded += '%';
      encoded += digits[byte >> 4];
      encoded += digits[byte & 15];
    }
  }
  return encoded;
}

}  // namespace

void sqlite_statement::finalizer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

sqlite_statement::sqlite_statement(sqlite3* db, std::string label,
                                   std::string_view sql)
    : db_(db), label_(std::move(label)) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v2(
      db, sql.data(), static_cast<int>(sql.size()), &prepared, nullptr);
  statement_.reset(prepared);
  require_ok(code);
}

void sqlite_statement::require_ok(int code) {
  if (code != SQLITE_OK) fail_as_sqlite_says(db_, label_, code);
}

bool sqlite_statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    fail_as_sqlite_says(db_, label_, sqlite3_extended_errcode(db_));
  }
  return false;
}

void sqlite_statement::run() {
  while (step()) {
  }
}

std::int64_t sqlite_statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::optional<std::int64_t> sqlite_statement::optional_integer(
    int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return {};
  return integer(column);
}

std::string sqlite_statement::text(int column) const {
  const auto* characters = reinterpret_cast<const char*>(
      sqlite3_column_text(statement_.get(), column));
  if (characters == nullptr) return {};
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {characters, static_cast<std::size_t>(size)};
}

std::vector<std::byte> sqlite_statement::blob(int column) const {
  const auto* bytes = static_cast<const std::byte*>(
      sqlite3_column_blob(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, bytes + sqlite3_column_bytes(statement_.get(), column)};
}

void sqlite_statement::bind_at(int index, std::int64_t value) {
  require_ok(sqlite3_bind_int64(statement_.get(), index, value));
}

void sqlite_statement::bind_at(int index, std::string_view value) {
  // A null pointer would bind NULL where an empty text is meant.
  const char* characters = value.empty() ? "" : value.data();
  require_ok(sqlite3_bind_text64(statement_.get(), index, characters,
                                 value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void sqlite_statement::bind_at(int index, std::span<const std::byte> value) {
  require_ok(sqlite3_bind_blob64(statement_.get(), index, value.data(),
                                 value.size(), SQLITE_STATIC));
}

void sqlite_statement::bind_at(int index,
                               const std::optional<std::int64_t>& value) {
  if (value) return bind_at(index, *value);
  require_ok(sqlite3_bind_null(statement_.get(), index));
}

void sqlite_database::closer::operator()(sqlite3* db) const {
  sqlite3_close_v2(db);
}

sqlite_database sqlite_database::open_file(const std::string& name,
                                           const std::string& label, int flags,
                                           const std::string& vfs) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(
      name.c_str(), &db, flags | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOMUTEX,
      vfs.empty() ? nullptr : vfs.c_str());
  sqlite_database opened(db, label);
  if (code != SQLITE_OK) fail_as_sqlite_says(db, label, code);
  opened.execute("PRAGMA cell_size_check=ON");
  return opened;
}

sqlite_database sqlite_database::open(const std::string& path, mode how,
                                      const std::string& vfs) {
  switch (how) {
    case mode::create:
      return open_file(path, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                       vfs);
    case mode::read_write:
      return open_file(path, path, SQLITE_OPEN_READWRITE, vfs);
    case mode::immutable: break;
  }
  return open_file("file:" + percent_encoded(path) + "?immutable=1", path,
                   SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, vfs);
}

sqlite_database sqlite_database::in_memory() {
  return open_file(":memory:", "(in memory)",
                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, {});
}

void sqlite_database::execute(const char* sql) {
  const int code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail_as_sqlite_says(handle(), label_, code);
}

sqlite_statement sqlite_database::prepare(std::string_view sql) {
  return {handle(), label_, sql};
}

std::int64_t sqlite_database::integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement.step()) {
    fail(ec::internal, "store " + label_ + ": no row from " + std::string(sql));
  }
  return statement.integer(0);
}

std::string sqlite_database::text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement.step()) {
    fail(ec::internal, "store " + label_ + ": no row from " + std::string(sql));
  }
  return statement.text(0);
}

void sqlite_database::copy_to(sqlite_database& to) {
  sqlite3_backup* copy =
      sqlite3_backup_init(to.handle(), "main", handle(), "main");
  if (copy == nullptr) {
    fail_as_sqlite_says(to.handle(), to.label_, sqlite3_errcode(to.handle()));
  }
  const int stepped = sqlite3_backup_step(copy, -1);
  const int finished = sqlite3_backup_finish(copy);
  if (stepped != SQLITE_DONE) {
    const int code = finished != SQLITE_OK ? finished : stepped;
    fail_as_sqlite_says(to.handle(), to.label_, code);
  }
}

std::vector<std::byte> sqlite_database::serialize() {
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, decltype(&sqlite3_free)> bytes(
      sqlite3_serialize(handle(), "main", &size, 0), &sqlite3_free);
  if (bytes == nullptr) fail(ec::exhausted, "store " + label_ + ": no memory");
  const auto* first = reinterpret_cast<const std::byte*>(bytes.get());
  return {first, first + size};
}

void sqlite_database::checkpoint_on_close(bool wanted) {
  const int code = sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                                     wanted ? 0 : 1, nullptr);
  if (code != SQLITE_OK) fail_as_sqlite_says(handle(), label_, code);
}

sqlite_transaction::sqlite_transaction(sqlite_database& db) : db_(db) {
  db_.execute("BEGIN IMMEDIATE");
}

sqlite_transaction::~sqlite_transaction() {
  // SQLite may have rolled back by itself after an error of the disk.
  if (sqlite3_get_autocommit(db_.handle()) == 0) {
    sqlite3_exec(db_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

void sqlite_transaction::commit() {
  db_.execute("COMMIT");
}

}  // namespace t2
