#pragma once

#include <string>
#include <utility>

#include "store/expert_store.hpp"
#include "store/sqlite_database.hpp"
#include "store/store_failure.hpp"
#include "store/store_lock.hpp"

namespace t2 {

/// What an open store owns. The lock comes first, so it goes last: the
/// database is closed while nobody else may open it.
struct expert_store::state {
  store_lock lock;
  std::filesystem::path path;
  store_options options;
  sqlite_database db;
  std::string caller;  // who asks for the changes; empty: t2 itself

  /// An audit entry's detail of these JSON members, and who did it.
  std::string detail(std::string members = {}) const;

  /// Runs `body(db)` in a transaction that is on the disk when this returns.
  template <class Body>
  auto change(Body&& body)
      -> result<std::invoke_result_t<Body, sqlite_database&>> {
    return guarded([&] {
      if (options.read_only) {
        fail(ec::invalid_argument,
             "store " + path.string() + ": it was opened to be read only");
      }
      sqlite_transaction transaction(db);
      if constexpr (std::is_void_v<
                        std::invoke_result_t<Body, sqlite_database&>>) {
        std::forward<Body>(body)(db);
        transaction.commit();
      } else {
        auto value = std::forward<Body>(body)(db);
        transaction.commit();
        return value;
      }
    });
  }

  /// Runs `body(db)`, which only reads.
  template <class Body>
  auto read(Body&& body)
      -> result<std::invoke_result_t<Body, sqlite_database&>> {
    return guarded([&] { return std::forward<Body>(body)(db); });
  }
};

}  // namespace t2
