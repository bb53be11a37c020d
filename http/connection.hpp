#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "http/access.hpp"
#include "http/byte_stream.hpp"
#include "http/connection_room.hpp"
#include "http/outbox.hpp"

namespace t2 {

/// One peer: reads a request, has it answered, writes the answer, and again.
/// Everything runs on the server's thread.
class connection : public std::enable_shared_from_this<connection> {
 public:
  /// `tls`: null where the peer speaks plainly.
  connection(byte_stream::socket peer, const peer_origin& from,
             boost::asio::ssl::context* tls, connection_room& room);
  ~connection();

  boost::asio::awaitable<void> run();

  /// Closes it if no request is under way.
  void close_if_idle();
  /// Gives its place and its descriptor up, whatever it does.
  void close_now();

 private:
  using request_parser =
      boost::beast::http::request_parser<boost::beast::http::string_body>;

  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> read_request();
  boost::asio::awaitable<bool> read_body();
  boost::asio::awaitable<bool> answer();
  boost::asio::awaitable<bool> write_answers();
  boost::asio::awaitable<void> watch();
  boost::asio::awaitable<bool> write(const std::string& bytes);
  boost::asio::awaitable<bool> refuse(const std::optional<http_reply>& what);
  boost::asio::awaitable<void> linger();

  std::optional<http_reply> admit();
  bool reserve(std::size_t bytes);
  std::string in_body(const std::string& data) const;
  void count() const;
  void arm(std::chrono::milliseconds time);

  byte_stream stream_;
  peer_origin from_;
  connection_room& room_;
  boost::asio::steady_timer deadline_;  // of the operation under way
  boost::asio::steady_timer signal_;    // cancelled to wake write_answers
  boost::beast::flat_buffer buffer_;
  std::optional<request_parser> parser_;
  std::shared_ptr<outbox> box_;  // of the request being answered
  std::size_t reserved_ = 0;     // of room_.bodies_bytes, for the body so far
  // Of the request being read or answered:
  http_caller caller_;
  std::pair<std::string, std::string> counted_as_;  // method and path
  std::chrono::steady_clock::time_point begun_;
  int status_ = 0;
  bool bodiless_ = false;  // HEAD: its answer has no body
  bool idle_ = true;
  bool has_spoken_ = false;  // there was a whole header
  bool timed_out_ = false;
  bool keep_alive_ = false;
  bool chunked_ = true;    // the peer understands chunks
  bool watching_ = false;  // watch() runs
  bool answered_ = false;  // watch() shall end
  bool left_ = false;      // the peer has gone
};

}  // namespace t2
