#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "actors/client.hpp"
#include "adaptation/few_shot_search.hpp"
#include "adaptation/mixture.hpp"
#include "config/result.hpp"
#include "store/expert_store.hpp"

namespace t2 {

/// All that an adaptation's outcome depends on, and the outcome itself where
/// the store has it.
struct adaptation_plan {
  store_task task;
  mixture experts;  // the versions to draw from; their α are not yet known
  few_shot_options search;
  std::string key;
  std::optional<store_adaptation> found;
  std::string caller = {};  // who asked for it
};

/// The search as few_shot_search wants it. ec::invalid_argument names the
/// option.
result<few_shot_options> to_few_shot(const search_options& options);

/// A task that can be adapted: its reward is known and judges each example.
result<void> check_task(const store_task& task, const reward_options& rewards);

/// Looks everything up: the task, the current versions of the experts (of all
/// of this base where none is named), the key, and the adaptation under it. One
/// that was computed for a removed task, or for another task with the same
/// examples, is given to this task too: equal keys are never computed twice.
/// With `force`, what the store has is left aside.
result<adaptation_plan> plan_adaptation(expert_store& store,
                                        const adapt_request& request,
                                        std::string_view base);

/// Stores the outcome of a search, in place of one under the same key; but a
/// truncated one does not replace a whole one, which is then returned.
result<store_adaptation> keep_adaptation(expert_store& store,
                                         const store_adaptation& adaptation);

}  // namespace t2
