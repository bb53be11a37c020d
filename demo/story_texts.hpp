#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace t2::demo {

/// Kinds of text that the demonstration's small story model knows half-way. It
/// has read stories with all of these in them; an expert turns one of them up.
/// `call` is the one no expert is grown on: a talk with a refrain in it.
enum class kind : std::uint8_t { dialogue, list, refrain, call };

std::string_view to_string(kind k);

/// Document number `index` of a kind: the same text for the same numbers on
/// every machine. Documents of different `split`s are never equal.
enum class split : std::uint8_t { train, examples, held_out };
std::string document(kind k, split s, std::uint64_t index);

/// The first `count` documents, no two of them equal.
std::vector<std::string> documents(kind k, split s, std::size_t count);

}  // namespace t2::demo
