#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/result.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// The ids with which `text` stands behind `before`: decoded in that place
/// (detokenizer::begin_after) they are `text`, with no space that a tokenizer
/// puts before every text of its own, and none lost. For a border where both
/// cannot be read as one text, because a token would reach across. What the
/// tokenizer's normalizer makes of `text` is what counts; where no ids are
/// found that decode to that, they are its ids behind other text.
result<std::vector<token_id>> continuation(
    const std::shared_ptr<const tokenizer>& vocabulary,
    std::span<const token_id> before, const std::string& text);

}  // namespace t2
