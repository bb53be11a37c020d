#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "http/outbox.hpp"
#include "http/server.hpp"

namespace t2 {

class connection;

/// What the connections of a server share. The server's thread only.
struct connection_room {
  const router& routes;
  const server_limits& limits;
  std::set<connection*> open = {};
  std::size_t bodies_bytes = 0;  // promised to requests being read
  bool draining = false;
  std::function<void()> on_empty = {};  // the last one has gone
};

/// One peer: reads a request, has it answered, writes the answer, and again.
/// Everything runs on the server's thread.
class connection : public std::enable_shared_from_this<connection> {
 public:
  // Whatever the family: a TCP socket would do as well.
  using socket = boost::asio::generic::stream_protocol::socket;

  /// An answer to a request that is not served.
  struct refusal {
    int status = 400;
    error failure;
  };

  connection(socket peer, connection_room& room);
  ~connection();

  boost::asio::awaitable<void> run();

  /// Closes it if no request is under way.
  void close_if_idle();

 private:
  using request_parser =
      boost::beast::http::request_parser<boost::beast::http::string_body>;

  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> read_request();
  boost::asio::awaitable<bool> answer();
  boost::asio::awaitable<bool> write_answers();
  boost::asio::awaitable<void> watch();
  boost::asio::awaitable<bool> write(const std::string& bytes);
  boost::asio::awaitable<bool> refuse(const std::optional<refusal>& what);
  boost::asio::awaitable<void> linger();

  std::optional<refusal> admit();
  std::optional<refusal> explain(boost::system::error_code reason) const;
  std::string print_head(int status, const std::string& content_type) const;
  std::string print_reply(const http_reply& whole) const;
  std::string print_chunk(const std::string& data) const;
  void arm(std::chrono::milliseconds time);

  socket socket_;
  connection_room& room_;
  boost::asio::steady_timer deadline_;  // of the operation under way
  boost::asio::steady_timer signal_;    // cancelled to wake write_answers
  boost::beast::flat_buffer buffer_;
  std::optional<request_parser> parser_;
  std::shared_ptr<outbox> box_;  // of the request being answered
  std::size_t reserved_ = 0;     // of room_.bodies_bytes
  bool idle_ = true;
  bool timed_out_ = false;
  bool keep_alive_ = false;
  bool chunked_ = true;    // the peer understands chunks
  bool watching_ = false;  // watch() runs
  bool left_ = false;      // the peer has gone
};

}  // namespace t2
