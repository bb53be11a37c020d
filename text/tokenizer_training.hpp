#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// Learns a byte-level BPE tokenizer: the tokenizer.json of at most
/// `vocabulary` tokens. Ids: the special tokens in their order, the 256 bytes,
/// then merges of pairs that occur at least twice, by falling count. Digits
/// are split one by one. Every text round-trips, seen or not. The same texts
/// in any order give the same bytes.
///
/// ec::invalid_argument: a text that is not UTF-8, or a vocabulary too small
/// for the special tokens and the bytes.
result<std::string> train_tokenizer(
    std::span<const std::string_view> texts, int vocabulary,
    std::span<const std::string_view> special_tokens);

}  // namespace t2
