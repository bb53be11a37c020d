#pragma once

#include <string>
#include <string_view>

#include "http/http_message.hpp"
#include "http/json.hpp"

namespace t2 {

// What a failure may tell those who do not administer the server: what is wrong
// with their request, and nothing of where the server keeps what.

/// The text with every absolute path but those of the API cut to its last name:
/// `/srv/t2/store.db: no table` becomes `store.db: no table`.
std::string without_folders(std::string_view text);

/// Rewrites the message in the member `error` of a form (http/error_form.hpp),
/// where it has one. Of failures of the server itself (corrupt, io, internal)
/// nothing is told but that, and the log hears all.
void make_discreet(ordered_json& form);

/// A reply as this caller may hear it: administrators hear everything.
http_reply told_to(const http_caller& caller, http_reply whole);

}  // namespace t2
