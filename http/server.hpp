#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "config/host_port.hpp"
#include "config/result.hpp"
#include "http/key_ring.hpp"
#include "http/router.hpp"
#include "http/serving_metrics.hpp"

namespace t2 {

/// What a server puts up with, of all listeners together.
struct server_limits {
  std::size_t connections = 256;
  std::size_t kept_connections = 16;  // of them, for the Unix socket alone
  std::size_t header_bytes = 16 << 10;
  std::size_t body_bytes = 16 << 20;     // where a route does not say more
  std::size_t bodies_bytes = 768 << 20;  // of all requests being read
  std::size_t unsent_bytes = 4 << 20;    // of a stream with a slow reader
  std::chrono::milliseconds idle_time = std::chrono::minutes(1);
  std::chrono::milliseconds header_time = std::chrono::seconds(10);
  // For each 256 KiB of a body and of an answer:
  std::chrono::milliseconds body_time = std::chrono::seconds(30);
  std::chrono::milliseconds write_time = std::chrono::seconds(30);
  /// A silent stream says this often that it is alive.
  std::chrono::milliseconds heartbeat = std::chrono::seconds(15);
};

/// TCP beside the Unix socket.
struct tcp_settings {
  host_port listen = {};
  /// None: only a loopback address may be listened on, for peers of this
  /// machine, who need no key.
  std::shared_ptr<const key_ring> keys = {};
  bool administer_remotely = false;  // http/access.hpp
  /// PEM files, both or none: TLS.
  std::filesystem::path certificate = {}, certificate_key = {};
};

/// Speaks HTTP/1.1 on a Unix socket, and on TCP where it is asked to: one
/// thread of its own for all connections, handlers are called on it and answer
/// from any thread. Keep-alive, pipelining (one answer at a time), chunked
/// bodies both ways, `Expect: 100-continue`. A peer that closes its end has
/// left: its request is told so (exchange::on_leave).
class server {
 public:
  /// Binds and listens (unix_listener::bind, tcp_listener::bind) and starts to
  /// serve. ec::invalid_argument: TCP for others without keys, or files that
  /// are no certificate and key. Counts into `metrics`, which may be null.
  static result<std::unique_ptr<server>> start(
      const std::filesystem::path& socket, router routes,
      server_limits limits = {}, std::optional<tcp_settings> tcp = {},
      std::shared_ptr<serving_metrics> metrics = {});
  /// Stops at once.
  ~server();

  /// Where TCP is listened on, `https://127.0.0.1:8443`; empty: nowhere.
  const std::string& tcp_address() const;

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
