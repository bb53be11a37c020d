#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "config/result.hpp"
#include "http/event_stream.hpp"

namespace t2 {

/// What a server answered; `body` is empty where it was a stream of events.
struct client_reply {
  int status = 0;
  std::string content_type;
  std::string body;
};

/// Speaks HTTP/1.1 to a Unix socket, one connection a request; blocks the
/// calling thread. Any thread may call.
class http_client {
 public:
  struct settings {
    std::filesystem::path socket = {};
    /// When it becomes readable (and it stays so) every call under way returns
    /// ec::cancelled and its connection is closed; -1: none.
    int interrupt = -1;
    std::size_t most_bytes = std::size_t{1} << 30;  // of an answer's body
  };
  /// Hears once that the interrupt has come. True: the call goes on to its end
  /// all the same.
  using on_interrupt = std::function<bool()>;

  explicit http_client(settings chosen) : settings_(std::move(chosen)) {}

  const settings& chosen() const { return settings_; }

  /// `target`: path and query, encoded. ec::not_found or ec::unavailable when
  /// nobody listens; an HTTP status is no error here.
  result<client_reply> request(
      std::string_view method, std::string_view target,
      std::string_view body = {},
      std::string_view content_type = "application/json") const;

  /// The same, where a text/event-stream goes to `on_event` as it arrives.
  /// When that returns false, the connection is closed: ec::cancelled.
  result<client_reply> stream(
      std::string_view method, std::string_view target, std::string_view body,
      const std::function<bool(server_event)>& on_event,
      const on_interrupt& told = {}) const;

 private:
  result<client_reply> exchange(
      const std::string& request,
      const std::function<bool(server_event)>& on_event,
      const on_interrupt& told) const;

  settings settings_;
};

}  // namespace t2
