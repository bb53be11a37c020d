#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace t2 {

/// What t2 answers: members stay in the order in which they were set, since
/// people read them. What others send is read as nlohmann::json.
using ordered_json = nlohmann::ordered_json;

/// On one line; bytes that are not UTF-8 become U+FFFD, infinities and NaN
/// null.
std::string dump_json(const ordered_json& value);

/// The value of a text that ought to be JSON already, or the text itself as a
/// string where it is not: for *_json fields of the store.
ordered_json embedded_json(std::string_view text);

}  // namespace t2
