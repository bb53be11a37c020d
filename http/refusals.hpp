#pragma once

#include <boost/system/error_code.hpp>
#include <optional>

#include "config/result.hpp"
#include "http/http_message.hpp"
#include "http/server.hpp"

namespace t2 {

/// An error under a status of its own.
http_reply refusal(int status, const error& why);

http_reply body_too_large();

/// What is said about a request that could not be read; nothing where the peer
/// is gone. `timed_out`: reading was given up by us.
std::optional<http_reply> explain(const boost::system::error_code& reason,
                                  bool timed_out, const server_limits& limits);

}  // namespace t2
