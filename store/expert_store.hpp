#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "store/records.hpp"

namespace t2 {

struct store_options {
  /// Microseconds since 1970-01-01 UTC; empty: the system's clock.
  std::function<std::int64_t()> clock{};
  /// SQLite VFS by name; empty: the default. Tests inject faults here.
  std::string vfs{};
  /// Nothing is written; any number of readers may share the store while no
  /// writer has it.
  bool read_only = false;
  /// Written into the lock, so that others find the daemon that holds it.
  std::string socket_path{};
};

/// The expert store: one SQLite file, its write-ahead log beside it, and the
/// process lock `<path>.lock` (store/store_lock.hpp), held while it is open.
///
/// When a call that changes something returns without error, the change
/// survives a kill and a power cut; when it returns an error, nothing of it is
/// seen while the store is open. (Where the disk itself failed during the call
/// and a crash follows, the change may be found whole.) Every row carries a
/// checksum that is verified when it is read (ec::corrupt).
///
/// Common errors: invalid_argument for a value outside the limits
/// (store/record_limits.hpp), io for what the operating system refused,
/// exhausted for a full disk. One thread at a time.
class expert_store {
 public:
  /// Opens the store, creating it where there is no file. Verifies its pages
  /// and migrates an older schema. Refuses, and leaves untouched, a file that
  /// is not a store or has a newer schema (incompatible), or that is damaged
  /// (corrupt); read-only also one of an older schema (incompatible), which it
  /// may not migrate. busy names the process that holds the lock.
  static result<expert_store> open(const std::filesystem::path& path,
                                   store_options options = {});
  expert_store(expert_store&&) noexcept;
  expert_store& operator=(expert_store&&) noexcept;
  /// Closes: the log is folded into the file, then the lock is released.
  ~expert_store();

  const std::filesystem::path& path() const;

  /// Whom the changes from now on are made for: the audit log says so. Empty:
  /// t2 itself.
  void act_for(std::string caller);

  // Base models.

  /// Adds a base, or renames the one with this fingerprint. A config_json
  /// other than the stored one is ec::incompatible.
  result<void> put_base_model(const store_base_model& base);
  result<store_base_model> get_base_model(std::string_view fingerprint);
  /// In order of creation.
  result<std::vector<store_base_model>> list_base_models();

  // Experts.

  /// Adds `version` to the expert `name` of `base`, makes it current and
  /// returns it as stored. Creates the expert where there is none (then with
  /// this description; a non-empty one also replaces an older one), revives a
  /// removed one. not_found: the base is unknown; incompatible: the expert
  /// belongs to another base.
  result<store_expert_version> publish(std::string_view name,
                                       std::string_view base,
                                       const store_expert_version& version,
                                       std::string_view description = {});
  /// `name` (its current version) or `name@version`, with its bytes. A version
  /// of a removed expert that an adaptation uses is found by its number.
  result<store_expert_version> get_version(std::string_view reference);
  result<store_expert> get_expert(std::string_view name);
  /// By name; of every base when `base` is empty.
  result<std::vector<store_expert>> list_experts(std::string_view base = {},
                                                 bool with_removed = false);
  /// All versions of an expert, oldest first, without their bytes.
  result<std::vector<store_expert_version>> history(std::string_view name);
  /// Makes an existing version current; later versions stay.
  result<store_expert> rollback(std::string_view name, std::int64_t version);
  /// Removes the expert: its name stays as a tombstone, and so do the versions
  /// that adaptations use; the others are deleted.
  result<void> remove_expert(std::string_view name);

  // Tasks.

  /// Returns the task as stored. already_exists when the name is taken.
  result<store_task> add_task(const store_task& task);
  result<store_task> get_task(std::string_view name);
  result<store_task> get_task(std::int64_t id);
  /// By name, with their examples.
  result<std::vector<store_task>> list_tasks();
  /// Its adaptations and evaluations stay, without a task.
  result<void> remove_task(std::string_view name);

  // Adaptations.

  /// Returns the adaptation as stored. One of the same key is replaced when it
  /// was truncated, else already_exists. not_found: the base, the task or a
  /// used version is not there; incompatible: one belongs to another base.
  result<store_adaptation> put_adaptation(const store_adaptation& adaptation);
  /// not_found when nothing has this key.
  result<store_adaptation> find_adaptation(std::string_view key);
  /// In the order in which their keys were first stored.
  result<std::vector<store_adaptation>> list_adaptations(std::int64_t task_id);
  /// Of every task and of none.
  result<std::vector<store_adaptation>> list_adaptations();
  /// Forgets it, so that the key is searched again. Its evaluations stay,
  /// without an adaptation.
  result<void> remove_adaptation(std::string_view key);

  // Evaluations.

  result<store_evaluation> put_evaluation(const store_evaluation& evaluation);
  /// In order of creation.
  result<std::vector<store_evaluation>> list_evaluations();

  // The whole store.

  /// The last `last` entries of the log, oldest first.
  result<std::vector<audit_entry>> audit(std::int64_t last);
  /// Verifies pages, references, every row's checksum and every z's. One line
  /// a problem; none: the store is sound.
  result<std::vector<std::string>> check();
  /// Writes a verified copy of the store to `path`, in place only when it is
  /// whole and durable. already_exists when there is a file.
  result<void> backup(const std::filesystem::path& path);

 private:
  struct state;
  explicit expert_store(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

}  // namespace t2
