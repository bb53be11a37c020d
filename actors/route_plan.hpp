#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "actors/client.hpp"
#include "adaptation/label_classifier.hpp"
#include "adaptation/mixture.hpp"
#include "config/result.hpp"
#include "store/expert_store.hpp"

namespace t2 {

/// What a query is to be answered under, as the store says.
struct route_plan {
  routing route;   // what pass 1 says and from_cache are still open
  mixture recipe;  // no components: the base

  /// A task without an adaptation: pass 1 may know more.
  bool undecided() const {
    return !route.task.empty() && route.adaptation_key.empty();
  }

  /// The mixture's bytes: equal recipes share one mixture in memory.
  std::string mixture_key() const;
};

/// What pass 1 may answer besides the configured labels.
inline constexpr std::string_view base_label = "other";

/// "", "auto", "auto:prompt", "auto:classifier": what pass 1 decides.
bool is_for_pass_1(std::string_view target);

/// Begins the target that pass 1 names, for resolve_route() alone.
inline constexpr std::string_view label_prefix = "label:";

/// Where any other `target` leads (adaptation/query.hpp):
/// - "base": the base;
/// - "expert:NAME[@VERSION]": that expert alone, undiluted;
/// - "label:L": an adapted task with that label or name, else expert L, else
///   the base;
/// - a task: its newest adaptation. A task that has none, or whose search
///   stayed on the base, answers on the base: a query never starts a search.
/// Errors: not_found; incompatible for what belongs to another base.
result<route_plan> resolve_route(expert_store& store, std::string_view target,
                                 std::string_view base);

/// The classes of pass 1.
struct label_table {
  std::vector<query_label> labels;  // the configured ones, then those of tasks
  bool leads = false;  // whether one is a task or an expert of the base; if
                       // none is, pass 1 could only say "the base"
};

/// The class under which pass 1 finds a task: `label` of its options; empty:
/// none.
std::string label_of(const store_task& task);

/// ec::invalid_argument: a label that is no short text or "other";
/// ec::already_exists: that of another task of the same base.
result<void> check_label(expert_store& store, const store_task& task);

/// Of a base: the configured classes, and its tasks with a label, whose
/// description is the class's.
result<label_table> find_labels(expert_store& store,
                                const std::vector<query_label>& configured,
                                std::string_view base);

/// The versions of a mixture with their bytes, in its order.
result<std::vector<store_expert_version>> load_versions(expert_store& store,
                                                        const mixture& m);

}  // namespace t2
