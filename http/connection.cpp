#include "http/connection.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <cctype>
#include <cstdio>
#include <exception>
#include <utility>

#include "config/logging.hpp"
#include "http/error_form.hpp"

namespace t2 {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// What a coroutine is called with has a name throughout this file: GCC 12
// destroys some temporaries in a co_await expression twice (PR98401).
constexpr auto to_tuple = asio::as_tuple(asio::use_awaitable);

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return out;
}

/// `Text/Plain; charset=x` → `text/plain`.
std::string media_type(std::string_view field) {
  field = field.substr(0, field.find(';'));
  while (!field.empty() && field.back() == ' ') field.remove_suffix(1);
  return lower(field);
}

connection::refusal body_too_large() {
  return {413,
          {ec::invalid_argument, "the body is larger than this path takes"}};
}

}  // namespace

connection::connection(socket peer, connection_room& room)
    : socket_(std::move(peer)),
      room_(room),
      deadline_(socket_.get_executor()),
      signal_(socket_.get_executor()),
      buffer_(room.limits.header_bytes + (64u << 10)) {
  room_.open.insert(this);
}

connection::~connection() {
  room_.bodies_bytes -= reserved_;
  room_.open.erase(this);
  if (box_) box_->leave();
  if (room_.open.empty() && room_.on_empty) {
    std::exchange(room_.on_empty, nullptr)();
  }
}

void connection::close_if_idle() {
  error_code ignored;
  if (idle_) socket_.close(ignored);
}

/// Whatever is under way is given up when `time` is over.
void connection::arm(std::chrono::milliseconds time) {
  timed_out_ = false;
  deadline_.expires_after(time);
  deadline_.async_wait([self = shared_from_this()](error_code failed) {
    // An expiry may have been under way when the timer was set anew.
    const auto now = std::chrono::steady_clock::now();
    if (failed || self->deadline_.expiry() > now) return;
    self->timed_out_ = true;
    error_code ignored;
    self->socket_.cancel(ignored);
  });
}

asio::awaitable<void> connection::run() {
  const auto self = shared_from_this();
  while (co_await serve_one()) {
  }
  deadline_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

/// False: the connection has come to its end.
asio::awaitable<bool> connection::serve_one() {
  if (room_.draining) co_return false;
  idle_ = true;
  if (buffer_.size() == 0) {
    arm(room_.limits.idle_time);
    const auto [failed, count] =
        co_await socket_.async_read_some(buffer_.prepare(4096), to_tuple);
    if (failed) co_return false;
    buffer_.commit(count);
  }
  idle_ = false;
  const bool read = co_await read_request();
  if (!read) co_return false;
  const bool more = co_await answer();
  room_.bodies_bytes -= std::exchange(reserved_, 0);
  co_return more;
}

/// Whether the request whose header has been read may send its body; if so,
/// its bytes are reserved.
std::optional<connection::refusal> connection::admit() {
  const auto& head = parser_->get();
  const std::string_view target(head.target().data(), head.target().size());
  if (target.empty() || target.front() != '/') {
    return refusal{
        400, {ec::invalid_argument, "expected a path that begins with '/'"}};
  }
  const std::size_t limit = std::max(
      room_.limits.body_bytes,
      room_.routes.body_limit(std::string(head.method_string()), target));
  std::uint64_t promised = parser_->chunked() ? limit : 0;
  if (const auto length = parser_->content_length()) promised = *length;
  if (promised > limit) return body_too_large();
  if (promised > room_.limits.bodies_bytes - room_.bodies_bytes) {
    return refusal{503, {ec::busy, "too many large requests at once"}};
  }
  reserved_ = static_cast<std::size_t>(promised);
  room_.bodies_bytes += reserved_;
  parser_->body_limit(limit);
  return std::nullopt;
}

asio::awaitable<bool> connection::read_request() {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(room_.limits.header_bytes));
  parser_->body_limit(boost::none);  // admit() knows it
  arm(room_.limits.header_time);
  const auto [no_header, header_bytes] =
      co_await http::async_read_header(socket_, buffer_, *parser_, to_tuple);
  if (no_header) {
    const auto why = explain(no_header);
    co_return co_await refuse(why);
  }
  chunked_ = parser_->get().version() >= 11;
  if (const auto why = admit()) co_return co_await refuse(why);

  const auto expect = parser_->get()[http::field::expect];
  if (lower({expect.data(), expect.size()}) == "100-continue") {
    const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    const bool sent = co_await write(go_on);
    if (!sent) co_return false;
  }
  arm(room_.limits.body_time);
  const auto [no_body, body_bytes] =
      co_await http::async_read(socket_, buffer_, *parser_, to_tuple);
  if (no_body) {
    const auto why = explain(no_body);
    co_return co_await refuse(why);
  }
  deadline_.cancel();
  co_return true;
}

asio::awaitable<bool> connection::answer() {
  auto request = parser_->release();
  parser_.reset();
  keep_alive_ = request.keep_alive();
  const std::string target(request.target());
  const auto type = request[http::field::content_type];
  http_request decoded{
      .method = std::string(request.method_string()),
      .path = {},
      .content_type = media_type({type.data(), type.size()}),
      .body = std::move(request.body()),
  };
  box_ = std::make_shared<outbox>(
      [weak = weak_from_this(), executor = socket_.get_executor()] {
        asio::post(executor, [weak] {
          if (const auto self = weak.lock()) self->signal_.cancel();
        });
      },
      room_.limits.unsent_bytes);
  left_ = false;
  watching_ = true;
  asio::co_spawn(socket_.get_executor(), watch(), asio::detached);
  try {
    room_.routes.dispatch(target, std::move(decoded), outbox::handle(box_));
  } catch (const std::exception& thrown) {
    box_->reply(error_reply({ec::internal, thrown.what()}));
  }
  const bool written = co_await write_answers();
  std::exchange(box_, nullptr)->leave();
  // Ends watch(), which alone uses the socket now.
  error_code ignored;
  socket_.cancel(ignored);
  while (watching_) {
    signal_.expires_at(asio::steady_timer::time_point::max());
    co_await signal_.async_wait(to_tuple);
  }
  co_return written&& keep_alive_ && !left_;
}

/// Notices that the peer has left while its answer is being made. What it
/// sends in the meantime is its next request.
asio::awaitable<void> connection::watch() {
  const auto self = shared_from_this();
  while (buffer_.size() < room_.limits.header_bytes) {
    const auto [failed, count] =
        co_await socket_.async_read_some(buffer_.prepare(4096), to_tuple);
    if (failed == asio::error::operation_aborted) break;
    if (failed) {
      left_ = true;
      if (box_) box_->leave();
      break;
    }
    buffer_.commit(count);
  }
  watching_ = false;
  signal_.cancel();
}

/// False: the peer has left, or the connection must not be used again.
asio::awaitable<bool> connection::write_answers() {
  bool streaming = false;
  while (!left_) {
    const auto ready = box_->take();
    if (ready.overflow) co_return false;
    keep_alive_ = keep_alive_ && !room_.draining;
    if (ready.whole) {
      const std::string whole = print_reply(*ready.whole);
      const bool sent = co_await write(whole);
      co_return sent;
    }
    std::string bytes;
    if (!streaming && (ready.ended || !ready.events.empty())) {
      streaming = true;
      keep_alive_ = keep_alive_ && chunked_;
      bytes = print_head(200, "text/event-stream") +
              "Cache-Control: no-store\r\n" +
              (chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    }
    if (!ready.events.empty()) bytes += print_chunk(ready.events);
    if (ready.ended && chunked_) bytes += "0\r\n\r\n";
    if (!bytes.empty()) {
      const bool sent = co_await write(bytes);
      if (!sent) co_return false;
    }
    if (ready.ended) co_return true;
    if (!ready.events.empty()) continue;
    signal_.expires_after(room_.limits.heartbeat);
    const auto [woken] = co_await signal_.async_wait(to_tuple);
    if (!woken && streaming && !left_) {
      const std::string beat = print_chunk(":\n\n");
      const bool sent = co_await write(beat);
      if (!sent) co_return false;
    }
  }
  co_return false;
}

asio::awaitable<bool> connection::write(const std::string& bytes) {
  arm(room_.limits.write_time);
  const auto [failed, count] =
      co_await asio::async_write(socket_, asio::buffer(bytes), to_tuple);
  deadline_.cancel();
  if (failed) left_ = true;
  co_return !failed;
}

/// What is said about a request that could not be read; nothing where the peer
/// is gone.
std::optional<connection::refusal> connection::explain(
    error_code reason) const {
  const auto limit = std::to_string(room_.limits.header_bytes);
  if (timed_out_) {
    return refusal{408, {ec::deadline, "the request did not arrive in time"}};
  }
  if (reason == http::error::header_limit ||
      reason == http::error::buffer_overflow) {
    return refusal{431,
                   {ec::invalid_argument,
                    "expected a header of at most " + limit + " bytes"}};
  }
  if (reason == http::error::body_limit) return body_too_large();
  const auto& of_http =
      http::make_error_code(http::error::bad_method).category();
  if (reason.category() != of_http || reason == http::error::end_of_stream ||
      reason == http::error::partial_message) {
    return std::nullopt;
  }
  return refusal{
      400,
      {ec::invalid_argument, "expected HTTP/1.1, found: " + reason.message()}};
}

/// Answers what is not served, and ends the connection.
asio::awaitable<bool> connection::refuse(const std::optional<refusal>& what) {
  if (!what) co_return false;
  keep_alive_ = false;
  http_reply whole = error_reply(what->failure);
  whole.status = what->status;
  const std::string bytes = print_reply(whole);
  const bool sent = co_await write(bytes);
  if (sent) co_await linger();
  co_return false;
}

/// Reads away what the peer is still sending: closed at once, the connection
/// would be reset and the peer might not see the answer.
asio::awaitable<void> connection::linger() {
  constexpr std::size_t enough = 4u << 20;
  error_code ignored;
  socket_.shutdown(socket::shutdown_send, ignored);
  arm(std::chrono::seconds(2));
  std::array<char, 16384> away;
  for (std::size_t total = 0; total < enough;) {
    const auto [failed, count] =
        co_await socket_.async_read_some(asio::buffer(away), to_tuple);
    if (failed) break;
    total += count;
  }
  deadline_.cancel();
}

std::string connection::print_head(int status,
                                   const std::string& content_type) const {
  const auto reason =
      status == 499 ? boost::beast::string_view("Client Closed Request")
                    : http::obsolete_reason(
                          http::int_to_status(static_cast<unsigned>(status)));
  return "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason) +
         "\r\nContent-Type: " + content_type +
         "\r\nConnection: " + (keep_alive_ ? "keep-alive" : "close") + "\r\n";
}

std::string connection::print_reply(const http_reply& whole) const {
  std::string text = print_head(whole.status, whole.content_type);
  for (const auto& [name, value] : whole.headers) {
    text += name + ": " + value + "\r\n";
  }
  text += "Content-Length: " + std::to_string(whole.body.size()) + "\r\n\r\n";
  return text + whole.body;
}

std::string connection::print_chunk(const std::string& data) const {
  if (!chunked_) return data;
  std::array<char, 20> size;
  std::snprintf(size.data(), size.size(), "%zx\r\n", data.size());
  return size.data() + data + "\r\n";
}

}  // namespace t2
