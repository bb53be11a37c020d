#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "http/exchange.hpp"

namespace t2 {

/// The exchange of a connection: callers on any thread put in, the
/// connection's own thread takes out.
class outbox : public exchange {
 public:
  /// `wake` tells the connection that there is something to take; called with
  /// the outbox locked, so it must only post. At most `unsent_bytes` of a
  /// stream wait for a slow reader: with more it has left.
  outbox(std::function<void()> wake, std::size_t unsent_bytes);

  void reply(http_reply whole) override;
  void event(std::string_view name, std::string_view data) override;
  void end() override;
  void on_leave(std::function<void()> left) override;

  /// What has come in since the last call.
  struct content {
    std::optional<http_reply> whole;
    std::string events;     // as they go over the wire
    bool ended = false;     // nothing will follow
    bool overflow = false;  // the reader was too slow: give the stream up
  };
  content take();

  /// The other side has left: runs on_leave, drops all that comes. The
  /// connection calls this on its way out too, after which `wake` is not
  /// called any more.
  void leave();

  /// What handlers get: the last copy to go away without an answer makes it an
  /// internal error.
  static std::shared_ptr<exchange> handle(std::shared_ptr<outbox> box);

 private:
  void finish_locked();

  std::mutex mutex_;
  std::function<void()> wake_;
  std::function<void()> left_;
  std::size_t unsent_bytes_;
  content content_;
  bool started_ = false;  // an event or a reply has come
  bool ended_ = false;
  bool gone_ = false;  // leave() was called
};

/// One server-sent event as it goes over the wire.
std::string print_event(std::string_view name, std::string_view data);

}  // namespace t2
