#include "http/server.hpp"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <future>
#include <thread>
#include <utility>

#include "config/logging.hpp"
#include "http/connection.hpp"
#include "http/error_form.hpp"
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
void turn_away(connection::socket peer) {
  const auto refusal = error_reply({ec::busy, "too many connections"});
  const std::string text =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
      "Connection: close\r\nContent-Length: " +
      std::to_string(refusal.body.size()) + "\r\n\r\n" + refusal.body;
  error_code ignored;
  peer.non_blocking(true, ignored);
  peer.write_some(asio::buffer(text), ignored);
}

}  // namespace

struct server::state {
  state(unix_listener bound, router served, server_limits chosen)
      : listener(std::move(bound)), routes(std::move(served)), limits(chosen) {}

  asio::awaitable<void> accept();
  void drain();

  unix_listener listener;
  router routes;
  server_limits limits;
  connection_room room{.routes = routes, .limits = limits};
  asio::io_context context{1};
  acceptor listening{context};
  std::promise<void> emptied;
  std::thread thread;
};

asio::awaitable<void> server::state::accept() {
  asio::steady_timer pause(context);
  while (!room.draining) {
    auto [failed, peer] = co_await listening.async_accept(to_tuple);
    if (failed == asio::error::operation_aborted) break;
    if (failed) {
      // Out of descriptors: those in use will come back.
      log(log_level::warn, "http: cannot accept: " + failed.message());
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(to_tuple);
      continue;
    }
    if (room.open.size() >= limits.connections) {
      turn_away(std::move(peer));
      continue;
    }
    auto one = std::make_shared<connection>(std::move(peer), room);
    asio::co_spawn(context, [one] { return one->run(); }, report);
  }
}

void server::state::drain() {
  if (room.draining) return;
  room.draining = true;
  error_code ignored;
  listening.close(ignored);
  room.on_empty = [this] { emptied.set_value(); };
  if (room.open.empty()) {
    std::exchange(room.on_empty, nullptr)();
  }
  for (connection* one : room.open) one->close_if_idle();
}

server::server(std::unique_ptr<state> s) : state_(std::move(s)) {}

result<std::unique_ptr<server>> server::start(
    const std::filesystem::path& socket, router routes, server_limits limits) {
  auto listener = unix_listener::bind(socket);
  if (!listener) return listener.error();
  auto made =
      std::make_unique<state>(*std::move(listener), std::move(routes), limits);
  const int fd = made->listener.release_descriptor();
  error_code failed;
  made->listening.assign(asio::generic::stream_protocol(AF_UNIX, 0), fd,
                         failed);
  if (failed) {
    ::close(fd);
    return error{ec::io, socket.string() + ": " + failed.message()};
  }
  asio::co_spawn(made->context, made->accept(), report);
  made->thread = std::thread([context = &made->context] { context->run(); });
  return std::unique_ptr<server>(new server(std::move(made)));
}

server::~server() {
  stop(std::chrono::milliseconds(0));
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
