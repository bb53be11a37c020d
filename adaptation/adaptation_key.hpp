#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adaptation/example.hpp"
#include "adaptation/few_shot_search.hpp"
#include "adaptation/prompt_form.hpp"

namespace t2 {

/// An expert version as the key of an adaptation sees it.
struct keyed_version {
  std::string expert;
  std::int64_t version = 0;
  std::string sha256;  // of its file
};

/// The cache key of an adaptation: SHA-256 of canonical JSON (sorted keys) of
/// all that its outcome depends on: base, expert versions (in any order),
/// strategy, options (the token budget, not the seconds: a truncated search is
/// marked instead; not the byte budgets), examples in their order, their form
/// where it is chat and one of them is a bare prompt (keys are older than
/// forms: what was searched raw keeps its key), the chat template's variables
/// where there are any and a prompt goes through it, reward, seed. 64
/// hexadecimal digits.
std::string adaptation_key(std::string_view base_fingerprint,
                           std::span<const keyed_version> versions,
                           std::string_view strategy,
                           const few_shot_options& options,
                           std::span<const example> examples,
                           std::string_view reward,
                           prompt_form form = prompt_form::raw,
                           std::string_view template_variables = {});

}  // namespace t2
