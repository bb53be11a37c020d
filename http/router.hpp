#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "http/exchange.hpp"
#include "http/http_message.hpp"

namespace t2 {

/// Answers one request, now or later. Must not block.
using http_handler =
    std::function<void(http_request, std::shared_ptr<exchange>)>;

/// Which handler answers which method and path. Knows no sockets. Filled
/// first, then only read: any thread.
class router {
 public:
  /// `pattern`: `/v1/tasks/{name}/adapt`; a part in braces stands for one
  /// segment, found decoded in http_request::capture. `body_bytes`: the
  /// largest body it takes, 0 for the server's usual limit.
  void add(std::string method, std::string_view pattern, http_handler handler,
           std::size_t body_bytes = 0);

  /// Calls the handler, or answers 404 or 405. `target` is a request's: path
  /// and query, still encoded. Fills path, query and capture of `request`.
  void dispatch(std::string_view target, http_request request,
                std::shared_ptr<exchange> answer) const;

  /// What a route is, but for its handler.
  struct facts {
    std::string method;
    std::string pattern;
    std::size_t body_bytes = 0;
    http_scope scope = http_scope::administer;
  };

  /// Says what the route's caller needs; to administer, where this is not
  /// called. False: there is no such route.
  bool allow(std::string_view method, std::string_view pattern,
             http_scope scope);

  /// Of the route that would be called; null without one.
  const facts* look_up(std::string_view method, std::string_view target) const;

  /// Of all routes, in their order.
  std::vector<facts> list() const;

 private:
  struct route {
    facts of;
    std::vector<std::string> segments;
    http_handler handler;
  };
  struct found;
  found find(std::string_view method, std::string_view target) const;

  std::vector<route> routes_;
};

/// `%2F` and the like decoded (`+` too where `plus_is_space`).
/// ec::invalid_argument on half an escape or a NUL.
result<std::string> decode_url(std::string_view text, bool plus_is_space);

/// Everything but letters, digits and `-._~` escaped.
std::string encode_url(std::string_view text);

}  // namespace t2
