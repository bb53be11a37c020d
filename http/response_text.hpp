#pragma once

#include <string>

#include "http/http_message.hpp"

namespace t2 {

// Answers as they go over the wire.

/// Status line and first headers; more may follow, then an empty line.
std::string print_head(int status, const std::string& content_type,
                       bool keep_alive);
std::string print_reply(const http_reply& whole, bool keep_alive);
/// One chunk of a chunked body.
std::string print_chunk(const std::string& data);

}  // namespace t2
