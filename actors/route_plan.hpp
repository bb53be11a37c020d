#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "actors/client.hpp"
#include "adaptation/mixture.hpp"
#include "config/result.hpp"
#include "store/expert_store.hpp"

namespace t2 {

/// What a query is to be answered under, as the store says.
struct route_plan {
  routing route;   // label, confidence and from_cache are still open
  mixture recipe;  // no components: the base

  /// The mixture's bytes: equal recipes share one mixture in memory.
  std::string mixture_key() const;
};

/// What pass 1 may answer besides the configured labels.
inline constexpr std::string_view base_label = "other";

/// Where `target` leads (adaptation/query.hpp), but for "" and "auto":
/// - "base": the base;
/// - "expert:NAME[@VERSION]": that expert alone, undiluted;
/// - "label:L": task L where there is one, else expert L, else the base;
/// - a task: its newest adaptation. A task that has none, or whose search
///   stayed on the base, answers on the base: a query never starts a search.
/// Errors: not_found; incompatible for what belongs to another base.
result<route_plan> resolve_route(expert_store& store, std::string_view target,
                                 std::string_view base);

/// Those of `labels` that are a task or an expert of this base. Where there is
/// none, pass 1 could only say "the base".
result<std::vector<std::string>> routable_labels(
    expert_store& store, const std::vector<std::string>& labels,
    std::string_view base);

/// The versions of a mixture with their bytes, in its order.
result<std::vector<store_expert_version>> load_versions(expert_store& store,
                                                        const mixture& m);

}  // namespace t2
