#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>

#include "config/result.hpp"
#include "http/router.hpp"

namespace t2 {

/// What a server puts up with.
struct server_limits {
  std::size_t connections = 256;
  std::size_t header_bytes = 16 << 10;
  std::size_t body_bytes = 16 << 20;     // where a route does not say more
  std::size_t bodies_bytes = 768 << 20;  // of all requests being read
  std::size_t unsent_bytes = 4 << 20;    // of a stream with a slow reader
  std::chrono::milliseconds idle_time = std::chrono::minutes(1);
  std::chrono::milliseconds header_time = std::chrono::seconds(10);
  std::chrono::milliseconds body_time = std::chrono::minutes(2);
  std::chrono::milliseconds write_time = std::chrono::seconds(30);
  /// A silent stream says this often that it is alive.
  std::chrono::milliseconds heartbeat = std::chrono::seconds(15);
};

/// Speaks HTTP/1.1 on a Unix socket: one thread of its own for all
/// connections, handlers are called on it and answer from any thread.
/// Keep-alive, pipelining (one answer at a time), chunked bodies both ways,
/// `Expect: 100-continue`. A peer that closes its end has left: its request is
/// told so (exchange::on_leave).
class server {
 public:
  /// Binds and listens (unix_listener::bind) and starts to serve.
  static result<std::unique_ptr<server>> start(
      const std::filesystem::path& socket, router routes,
      server_limits limits = {});
  /// Stops at once.
  ~server();

  /// Takes no more connections; idle ones are closed, the others get the
  /// answer of the request they have begun. Returns at once.
  void drain();

  /// drain(), then waits until the last answer is written or `grace` is over.
  /// No handler is called and no exchange is alive for it afterwards.
  void stop(std::chrono::milliseconds grace);

 private:
  struct state;
  explicit server(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

}  // namespace t2
