#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace t2 {

/// One prepared SQL statement; must not outlive its database. Throws
/// store_failure.
class sqlite_statement {
 public:
  sqlite_statement(sqlite3* db, std::string label, std::string_view sql);

  /// Binds the parameters ?1, ?2, ... in order. Blobs are not copied: they
  /// must live until the last step.
  template <class... Values>
  sqlite_statement& bind(const Values&... values) {
    int index = 0;
    (bind_at(++index, values), ...);
    return *this;
  }

  /// True: there is a row to read. False: done.
  bool step();
  /// Steps to the end.
  void run();

  // Columns of the row that step() found, counted from 0.
  std::int64_t integer(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;
  bool boolean(int column) const { return integer(column) != 0; }
  std::string text(int column) const;
  std::vector<std::byte> blob(int column) const;

 private:
  void bind_at(int index, std::int64_t value);
  void bind_at(int index, std::same_as<bool> auto value) {
    bind_at(index, static_cast<std::int64_t>(value ? 1 : 0));
  }
  void bind_at(int index, std::string_view value);
  void bind_at(int index, std::span<const std::byte> value);
  void bind_at(int index, const std::optional<std::int64_t>& value);
  void require_ok(int code);

  struct finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* db_;
  std::string label_;
  std::unique_ptr<sqlite3_stmt, finalizer> statement_;
};

/// One SQLite connection. Throws store_failure with the error code that fits:
/// exhausted for a full disk, corrupt for damaged pages, busy for a lock held
/// by a stranger, io for what else the operating system refused.
class sqlite_database {
 public:
  /// How the file is opened.
  enum class mode {
    create,      // made if it is not there; no log of its own
    read_write,  // must be there
    immutable,   // read only, no locks, nothing beside it is looked at
  };

  /// `label` stands for the database in messages; `vfs` empty: the default.
  static sqlite_database open(const std::string& path, mode how,
                              const std::string& vfs = {});
  static sqlite_database in_memory();

  /// Runs one or more statements without parameters.
  void execute(const char* sql);
  sqlite_statement prepare(std::string_view sql);
  /// The first column of the first row; fails where there is none.
  std::int64_t integer(std::string_view sql);
  std::string text(std::string_view sql);

  /// Copies all pages of this database over those of `to`.
  void copy_to(sqlite_database& to);
  /// The bytes that a file of this database would have.
  std::vector<std::byte> serialize();
  /// Whether closing folds the log into the file and deletes it. SQLite's
  /// default is true.
  void checkpoint_on_close(bool wanted);

  sqlite3* handle() const { return db_.get(); }
  const std::string& label() const { return label_; }

 private:
  struct closer {
    void operator()(sqlite3* db) const;
  };
  sqlite_database(sqlite3* db, std::string label)
      : db_(db), label_(std::move(label)) {}
  static sqlite_database open_file(const std::string& name,
                                   const std::string& label, int flags,
                                   const std::string& vfs);

  std::unique_ptr<sqlite3, closer> db_;
  std::string label_;
};

/// BEGIN IMMEDIATE ... COMMIT; rolled back when it is left without commit().
class sqlite_transaction {
 public:
  explicit sqlite_transaction(sqlite_database& db);
  ~sqlite_transaction();
  sqlite_transaction(const sqlite_transaction&) = delete;
  sqlite_transaction& operator=(const sqlite_transaction&) = delete;

  /// Returns when the changes are on the disk.
  void commit();

 private:
  sqlite_database& db_;
};

}  // namespace t2
