#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace t2 {

/// An event of a text/event-stream.
struct server_event {
  std::string name;  // empty: a plain message
  std::string data;  // lines joined by '\n'
};

/// Cuts a text/event-stream that arrives in pieces into events. Comments,
/// `id` and `retry` are passed over; lines end in \n or \r\n.
class event_stream {
 public:
  /// Calls `on_event` for every event that is complete now.
  void feed(std::string_view text,
            const std::function<void(server_event)>& on_event);

 private:
  void take_line(std::string_view line,
                 const std::function<void(server_event)>& on_event);

  std::string rest_;  // of a line
  server_event event_;
  bool has_data_ = false;
};

}  // namespace t2
