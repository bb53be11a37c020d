#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "http/http_message.hpp"

namespace t2 {

/// The answering side of one request: either one whole reply, or a stream of
/// server-sent events. Any thread may call; what comes after the end, or after
/// the other side has left, goes nowhere. An exchange that is dropped without
/// an answer answers with an internal error.
class exchange {
 public:
  virtual ~exchange() = default;

  /// The whole answer.
  virtual void reply(http_reply whole) = 0;

  /// Appends one event of a stream (the first one starts it): `name` may be
  /// empty, `data` is one line.
  virtual void event(std::string_view name, std::string_view data) = 0;

  /// Ends the stream (with no event before: an empty one).
  virtual void end() = 0;

  /// `left` runs once when the other side leaves before the answer's end, at
  /// once if it has left already.
  virtual void on_leave(std::function<void()> left) = 0;
};

}  // namespace t2
