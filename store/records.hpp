#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace t2 {

// What the store keeps: ids, text and bytes. Times are microseconds since
// 1970-01-01 UTC, set by the store. Fields named *_json hold one valid JSON
// text that the store does not interpret; a fingerprint, key or sha256 is 64
// lower-case hexadecimal digits. docs/store-schema.md has the invariants.

/// A checkpoint that experts belong to.
struct store_base_model {
  std::string fingerprint{};  // of tensor bytes and canonical config
  std::string name{};
  std::string config_json = "{}";
  std::int64_t created = 0;
};

/// A name and its line of versions.
struct store_expert {
  std::int64_t id = 0;
  std::string name{};
  std::string base{};  // fingerprint
  std::string description{};
  std::int64_t current_version = 0;  // 0: none (removed)
  bool deleted = false;
  std::int64_t created = 0;
};

/// One immutable z. Versions count from 1 and are never given twice.
struct store_expert_version {
  std::int64_t expert_id = 0;              // set by the store
  std::string expert{};                    // its name; set by the store
  std::string base{};                      // fingerprint; set by the store
  std::int64_t version = 0;                // set by the store
  std::vector<std::byte> z_safetensors{};  // left empty by lists
  std::int64_t z_bytes = 0;            // size of the above; set by the store
  std::string sha256{};                // of the above; set by the store
  std::int64_t parent_version = 0;     // trained from; 0: from none
  std::string norm{};                  // "none" or "nuclear"
  std::string targets{};               // as svf_targets writes them
  std::string provenance_json = "{}";  // objective, data hash, options, seed,
                                       // metrics
  std::int64_t created = 0;
};

/// One example of a task.
struct store_example {
  std::string id{};      // unique in its task
  std::string prompt{};  // empty where extra_json has messages
  std::string answer{};
  std::string extra_json = "{}";  // messages, choices, reward, ...
};

/// A task and the few examples that describe it. Immutable.
struct store_task {
  std::int64_t id = 0;  // set by the store
  std::string name{};
  std::string base{};  // fingerprint
  std::string description{};
  std::string reward{};             // adaptation/reward.hpp
  std::string form = "raw";  // how bare prompts are asked: "raw" or "chat"
  std::string options_json = "{}";  // system prompt, strategy, ...
  std::vector<store_example> examples{};
  std::int64_t created = 0;
};

/// A version by the expert's name.
struct store_version_ref {
  std::string expert{};
  std::int64_t version = 0;

  friend bool operator==(const store_version_ref&,
                         const store_version_ref&) = default;
};

/// The outcome of one search, under the key of all that it depended on.
struct store_adaptation {
  std::int64_t id = 0;                    // set by the store
  std::optional<std::int64_t> task_id{};  // none: of no task, or a removed one
  std::string key{};
  std::string base{};               // fingerprint
  std::string mixture_json = "{}";  // rule, experts with versions, alpha
  bool accepted = false;            // false: the task stays on the base
  bool truncated = false;           // a budget in seconds cut the search
  std::string scores_json = "{}";
  std::string cost_json = "{}";           // tokens, seconds
  std::vector<store_version_ref> used{};  // in the mixture's order
  std::int64_t created = 0;
};

/// A measurement on data that the adaptation has not seen.
struct store_evaluation {
  std::int64_t id = 0;  // set by the store
  std::optional<std::int64_t> task_id{};
  std::optional<std::int64_t> adaptation_id{};  // none: of the base
  std::string base{};                           // fingerprint
  std::string dataset{};                        // what it was measured on
  std::string data_sha256{};                    // of that
  std::string scores_json = "{}";
  std::string cost_json = "{}";
  std::int64_t created = 0;
};

/// One line of the append-only log; the store writes it in the transaction of
/// the change that it tells of.
struct audit_entry {
  std::int64_t sequence = 0;  // 1, 2, 3, ... without gaps
  std::int64_t time = 0;
  std::string action{};   // "publish", "rollback", "remove_task", ...
  std::string subject{};  // "name@3", a task's name, a key, ...
  std::string detail_json = "{}";
};

}  // namespace t2
