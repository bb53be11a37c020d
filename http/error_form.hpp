#pragma once

#include "config/result.hpp"
#include "http/http_message.hpp"
#include "http/json.hpp"

namespace t2 {

/// The HTTP status of a failure (docs/formats.md).
int status_of(ec code);

/// {"error": {"message", "type", "param", "code"}}: OpenAI's shape; the code is
/// the name of the ec.
ordered_json error_form(const error& failure);

/// The same as a whole answer.
http_reply error_reply(const error& failure);

/// 404 in OpenAI's words: `model` names nothing. Comes back as ec::not_found.
http_reply model_error(const error& failure);

/// What error_form says, back as an error: of a body that is something else,
/// ec::internal with its beginning.
error error_from_form(int status, const std::string& body);

}  // namespace t2
