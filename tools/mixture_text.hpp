#pragma once

#include <string>

#include "http/json.hpp"

namespace t2 {

/// `0.62 dialogue@1 + 0.10 lists@3`; several α of an expert as their mean and
/// range. `base` for none.
std::string mixture_text(const ordered_json& mixture);

/// What came of an adaptation and why: `accepted: a gain ...`, `stays on the
/// base: ...`.
std::string outcome_text(const ordered_json& adaptation);

/// Four digits; `-` for null.
std::string number_text(const ordered_json& number);

}  // namespace t2
