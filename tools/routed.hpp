#pragma once

#include <functional>
#include <string>

#include "config/result.hpp"
#include "tools/api_client.hpp"
#include "tools/confusion.hpp"
#include "tools/evaluation.hpp"
#include "tools/interrupt.hpp"

namespace t2 {

/// Where a query would go: the `t2` member of its completion, without one.
result<ordered_json> routed(const api_client& api, const std::string& target,
                            const std::string& prompt);

/// Has pass 1 classify every line, whose answer is its class. What stays on
/// the base for want of confidence counts as what pass 1 said.
result<confusion_matrix> classify_all(
    const api_client& api, const interrupt& signals, const std::string& target,
    const test_set& set,
    const std::function<void(std::size_t)>& on_done = [](std::size_t) {});

}  // namespace t2
