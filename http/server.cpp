#include "http/server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "config/logging.hpp"
#include "http/connection.hpp"
#include "http/error_form.hpp"
#include "http/response_text.hpp"
#include "http/tcp_socket.hpp"
#include "http/tls_context.hpp"
#include "http/unix_socket.hpp"

namespace t2 {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

constexpr auto to_tuple = asio::as_tuple(asio::use_awaitable);

void report(std::exception_ptr thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& reason) {
    log(log_level::error,
        std::string("http: a connection ended with: ") + reason.what());
  }
}

/// What one more than the allowed peers gets; fits any socket's buffer.
void turn_away(byte_stream::socket peer) {
  const std::string text =
      print_reply(error_reply({ec::busy, "too many connections"}), false);
  error_code ignored;
  peer.non_blocking(true, ignored);
  peer.write_some(asio::buffer(text), ignored);
}

/// Of descriptors, or of memory for them.
bool is_shortage(const error_code& failed) {
  namespace errc = boost::system::errc;
  return failed == errc::too_many_files_open ||
         failed == errc::too_many_files_open_in_system ||
         failed == errc::no_buffer_space || failed == errc::not_enough_memory;
}

int open_spare() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

/// The listener's descriptor as Asio's.
result<void> adopt(acceptor& listening, int family, int protocol, int fd) {
  error_code failed;
  listening.assign(asio::generic::stream_protocol(family, protocol), fd,
                   failed);
  // An accept that finds nobody returns.
  if (!failed) listening.non_blocking(true, failed);
  if (!failed) return {};
  if (!listening.is_open()) ::close(fd);
  return error{ec::io, "cannot listen: " + failed.message()};
}

}  // namespace

struct server::state {
  state(unix_listener bound, router served, server_limits chosen,
        std::shared_ptr<serving_metrics> counted)
      : listener(std::move(bound)),
        routes(std::move(served)),
        limits(chosen),
        metrics(std::move(counted)) {}

  ~state() {
    if (spare >= 0) ::close(spare);
  }

  result<void> listen_on_tcp(const tcp_settings& chosen);
  asio::awaitable<void> accept(acceptor& listening, bool tcp);
  void take(byte_stream::socket peer, bool tcp);
  bool make_descriptor(acceptor& listening, bool tcp);
  void drain();

  unix_listener listener;
  router routes;
  server_limits limits;
  std::shared_ptr<serving_metrics> metrics;
  connection_room room{routes, limits, metrics.get()};
  std::unique_ptr<asio::ssl::context> tls;  // of TCP
  std::string tcp_address;
  asio::io_context context{1};
  acceptor on_unix{context}, on_tcp{context};
  int spare = open_spare();  // a descriptor for when there is none left
  std::promise<void> emptied;
  std::thread thread;
};

result<void> server::state::listen_on_tcp(const tcp_settings& chosen) {
  auto bound = tcp_listener::bind(chosen.listen);
  if (!bound) return bound.error();
  if (!bound->loopback() && !chosen.keys) {
    return error{ec::invalid_argument,
                 "server.listen: expected a loopback address such as "
                 "127.0.0.1, because server.keys names no keys, found " +
                     print_host_port(bound->address())};
  }
  if (!chosen.certificate.empty()) {
    auto made = make_tls_context(chosen.certificate, chosen.certificate_key);
    if (!made) return made.error();
    tls = *std::move(made);
  }
  room.access = {.keys = chosen.keys,
                 .administer_remotely = chosen.administer_remotely};
  tcp_address =
      (tls ? "https://" : "http://") + print_host_port(bound->address());
  return adopt(on_tcp, bound->family(), IPPROTO_TCP,
               bound->release_descriptor());
}

asio::awaitable<void> server::state::accept(acceptor& listening, bool tcp) {
  asio::steady_timer pause(context);
  while (!room.draining) {
    auto [failed, peer] = co_await listening.async_accept(to_tuple);
    if (failed == asio::error::operation_aborted) break;
    if (!failed) {
      take(std::move(peer), tcp);
      continue;
    }
    if (is_shortage(failed) && make_descriptor(listening, tcp)) continue;
    // Those in use will come back.
    log(log_level::warn, "http: cannot accept: " + failed.message());
    pause.expires_after(std::chrono::milliseconds(100));
    co_await pause.async_wait(to_tuple);
  }
}

/// With no descriptor left, closes a connection that does nothing for the one
/// that waits. False: there is none, and who waited has been told to come back.
bool server::state::make_descriptor(acceptor& listening, bool tcp) {
  if (room.make_descriptor({.unix_socket = !tcp})) return true;
  if (spare >= 0) ::close(spare);
  {
    error_code failed;
    auto peer = listening.accept(failed);
    if (!failed) {
      if (metrics) metrics->count_refused_connection();
      if (!tcp || !tls) turn_away(std::move(peer));
    }
  }
  spare = open_spare();
  return false;
}

void server::state::take(byte_stream::socket peer, bool tcp) {
  peer_origin from{.unix_socket = !tcp};
  if (tcp) {
    tune_tcp(peer.native_handle());
    from.loopback = peer_is_loopback(peer.native_handle());
    from.network = peer_network(peer.native_handle());
  }
  if (!room.make_place(from)) {
    if (metrics) metrics->count_refused_connection();
    // Before a handshake there is no way to say anything.
    if (!tcp || !tls) turn_away(std::move(peer));
    return;
  }
  auto one = std::make_shared<connection>(std::move(peer), from,
                                          tcp ? tls.get() : nullptr, room);
  asio::co_spawn(context, [one] { return one->run(); }, report);
}

void server::state::drain() {
  if (room.draining) return;
  room.draining = true;
  error_code ignored;
  on_unix.close(ignored);
  on_tcp.close(ignored);
  room.on_empty = [this] { emptied.set_value(); };
  if (room.empty()) std::exchange(room.on_empty, nullptr)();
  room.for_each([](connection* one) { one->close_if_idle(); });
}

server::server(std::unique_ptr<state> s) : state_(std::move(s)) {}

result<std::unique_ptr<server>> server::start(
    const std::filesystem::path& socket, router routes, server_limits limits,
    std::optional<tcp_settings> tcp, std::shared_ptr<serving_metrics> metrics) {
  auto listener = unix_listener::bind(socket);
  if (!listener) return listener.error();
  auto made = std::make_unique<state>(*std::move(listener), std::move(routes),
                                      limits, std::move(metrics));
  if (tcp) {
    if (auto listens = made->listen_on_tcp(*tcp); !listens) {
      return listens.error();
    }
    asio::co_spawn(made->context, made->accept(made->on_tcp, true), report);
  }
  if (auto adopted = adopt(made->on_unix, AF_UNIX, 0,
                           made->listener.release_descriptor());
      !adopted) {
    return adopted.error();
  }
  asio::co_spawn(made->context, made->accept(made->on_unix, false), report);
  made->thread = std::thread([context = &made->context] { context->run(); });
  return std::unique_ptr<server>(new server(std::move(made)));
}

server::~server() {
  stop(std::chrono::milliseconds(0));
}

const std::string& server::tcp_address() const {
  return state_->tcp_address;
}

void server::drain() {
  asio::post(state_->context, [s = state_.get()] { s->drain(); });
}

void server::stop(std::chrono::milliseconds grace) {
  if (!state_->thread.joinable()) return;
  drain();
  state_->emptied.get_future().wait_for(grace);
  state_->context.stop();
  state_->thread.join();
  state_->room.on_empty = nullptr;
}

}  // namespace t2
