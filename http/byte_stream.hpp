#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstddef>
#include <optional>
#include <utility>

namespace t2 {

/// A connected socket of any family, plain or under TLS: what a connection
/// reads and writes (an Asio AsyncReadStream and AsyncWriteStream). One read
/// and one write may be under way at once, on one thread.
class byte_stream {
 public:
  using socket = boost::asio::generic::stream_protocol::socket;
  using executor_type = socket::executor_type;
  using error_code = boost::system::error_code;

  /// `tls`, where it is not null, outlives the stream.
  byte_stream(socket peer, boost::asio::ssl::context* tls)
      : socket_(std::move(peer)) {
    if (tls) tls_.emplace(socket_, *tls);
  }

  executor_type get_executor() { return socket_.get_executor(); }

  /// The handshake, if there is one to make.
  boost::asio::awaitable<error_code> open();
  /// Tells the other side that nothing will follow.
  boost::asio::awaitable<void> end();

  /// What is under way ends with operation_aborted; the stream stays usable.
  void cancel() {
    error_code ignored;
    socket_.cancel(ignored);
  }
  void close() {
    error_code ignored;
    socket_.close(ignored);
  }
  /// Below TLS: for the last bytes of a connection that are not understood.
  socket& raw() { return socket_; }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& into, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& buffers) {
          if (tls_) {
            tls_->async_read_some(buffers, std::move(handler));
          } else {
            socket_.async_read_some(buffers, std::move(handler));
          }
        },
        token, into);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& from, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& buffers) {
          if (tls_) {
            tls_->async_write_some(buffers, std::move(handler));
          } else {
            socket_.async_write_some(buffers, std::move(handler));
          }
        },
        token, from);
  }

 private:
  socket socket_;
  std::optional<boost::asio::ssl::stream<socket&>> tls_;
};

}  // namespace t2
