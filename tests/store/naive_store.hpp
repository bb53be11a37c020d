#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "store/expert_store.hpp"

namespace t2 {

/// One change to a store, small enough to be drawn at random: names and
/// numbers come from small pools, so that operations meet each other.
struct store_operation {
  enum class kind {
    put_base,
    publish,
    rollback,
    remove_expert,
    add_task,
    remove_task,
    put_adaptation,
    remove_adaptation,
    put_evaluation,
    count_,
  };
  kind what = kind::put_base;
  // What they choose depends on the kind.
  unsigned a = 0, b = 0, c = 0, d = 0;
};

std::string to_string(const store_operation& operation);

/// What a store is, in the plainest terms: the independent reference of the
/// property and crash tests.
class naive_store {
 public:
  /// The code that the store must answer; ec::none when something was done.
  ec apply(const store_operation& operation, std::int64_t time,
           std::size_t z_bytes);
  /// All content as text.
  std::string dump() const;

 private:
  struct base_row {
    std::string name;
    std::int64_t created = 0;
  };
  struct version_row {
    std::string z;
    std::int64_t parent = 0, created = 0;
  };
  struct expert_row {
    std::string base, description;
    std::int64_t current = 0, next = 1, created = 0;
    std::map<std::int64_t, version_row> versions{};
  };
  struct task_row {
    std::string base;
    std::string form = "raw";
    std::size_t examples = 0;
    std::int64_t created = 0;
  };
  struct adaptation_row {
    std::string key, base, task, scores;
    bool truncated = false;
    std::vector<store_version_ref> used{};
    std::int64_t created = 0;
  };
  struct evaluation_row {
    std::string base, task, key, scores;
    std::int64_t created = 0;
  };

  ec publish(const store_operation& operation, std::int64_t time,
             std::size_t z_bytes);
  ec put_adaptation(const store_operation& operation, std::int64_t time);
  ec put_evaluation(const store_operation& operation, std::int64_t time);
  ec remove_expert(const std::string& name);
  ec remove_task(const std::string& name);
  ec remove_adaptation(const std::string& key);
  bool is_used(const std::string& expert, std::int64_t version) const;
  adaptation_row* find_adaptation(const std::string& key);
  void log(std::string action_and_subject) {
    log_.push_back(std::move(action_and_subject));
  }

  std::map<std::string, base_row> bases_;
  std::map<std::string, expert_row> experts_;
  std::map<std::string, task_row> tasks_;
  std::vector<adaptation_row> adaptations_;
  std::vector<evaluation_row> evaluations_;
  std::vector<std::string> log_;
};

/// Does the same to a store; the code that it answered.
ec apply(expert_store& store, const store_operation& operation,
         std::size_t z_bytes);

/// All content of a store, in naive_store's words; or the error that reading
/// ended in.
std::string dump(expert_store& store);

/// `count` operations that mostly succeed: bases and experts come first.
std::vector<store_operation> random_operations(unsigned seed,
                                               std::size_t count);

}  // namespace t2
