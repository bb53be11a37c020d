#include "http/refusals.hpp"

#include <boost/beast/http/error.hpp>
#include <string>

#include "http/error_form.hpp"

namespace t2 {

namespace http = boost::beast::http;

http_reply refusal(int status, const error& why) {
  http_reply whole = error_reply(why);
  whole.status = status;
  return whole;
}

http_reply body_too_large() {
  return refusal(
      413, {ec::invalid_argument, "the body is larger than this path takes"});
}

std::optional<http_reply> explain(const boost::system::error_code& reason,
                                  bool timed_out, const server_limits& limits) {
  if (timed_out) {
    return refusal(408, {ec::deadline, "the request did not arrive in time"});
  }
  if (reason == http::error::header_limit ||
      reason == http::error::buffer_overflow) {
    return refusal(431, {ec::invalid_argument,
                         "expected a header of at most " +
                             std::to_string(limits.header_bytes) + " bytes"});
  }
  if (reason == http::error::body_limit) return body_too_large();
  const auto& of_http =
      http::make_error_code(http::error::bad_method).category();
  if (reason.category() != of_http || reason == http::error::end_of_stream ||
      reason == http::error::partial_message) {
    return std::nullopt;
  }
  return refusal(400, {ec::invalid_argument,
                       "expected HTTP/1.1, found: " + reason.message()});
}

}  // namespace t2
