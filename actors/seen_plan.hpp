#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/client.hpp"
#include "config/result.hpp"
#include "store/expert_store.hpp"

namespace t2 {

/// The scores of an adaptation (JSON) with the hashes of the examples that it
/// was searched on (adaptation/leak_guard.hpp) under `seen_prompts`.
std::string with_seen_prompts(const std::string& scores_json,
                              std::span<const store_example> examples);

/// Who stands behind the answers of `target` and what each has seen: a task's
/// newest adaptation and the experts it mixes, an expert, nobody for the base,
/// and for `auto` all that a query could be routed to. not_found: no target.
result<std::vector<seen_by>> seen_by_target(expert_store& store,
                                            std::string_view target);

/// Stores a measurement. ec::incompatible: one of its prompts was seen by what
/// stands behind the target, or one of those did not record what it has seen.
result<store_evaluation> keep_evaluation(expert_store& store,
                                         const finished_evaluation& measured,
                                         std::string_view base);

}  // namespace t2
