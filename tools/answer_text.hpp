#pragma once

#include <string>

#include "http/json.hpp"

namespace t2 {

/// What an answer report (docs/formats.md, "Answers") says in words, a line
/// each, of `who`: the commonest answers, the best constant answer and whether
/// that is as good; of few classes, the confusion table.
std::string answer_text(const std::string& who, const ordered_json& report);

}  // namespace t2
