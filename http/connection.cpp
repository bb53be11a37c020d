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
#include <exception>
#include <utility>

#include "config/logging.hpp"
#include "http/discretion.hpp"
#include "http/error_form.hpp"
#include "http/refusals.hpp"
#include "http/response_text.hpp"

namespace t2 {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// What a coroutine is called with has a name throughout this file: GCC 12
// destroys some temporaries in a co_await expression twice (PR98401).
constexpr auto to_tuple = asio::as_tuple(asio::use_awaitable);

// What has to come or go within the limit of time: a slow peer is served, one
// that has stopped is not.
constexpr std::size_t piece_bytes = 256 << 10;

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

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

connection::connection(byte_stream::socket peer, const peer_origin& from,
                       asio::ssl::context* tls, connection_room& room)
    : stream_(std::move(peer), tls),
      from_(from),
      room_(room),
      deadline_(stream_.get_executor()),
      signal_(stream_.get_executor()),
      buffer_(room.limits.header_bytes + (64u << 10)) {
  room_.enter(this, from_);
}

connection::~connection() {
  room_.bodies_bytes -= reserved_;
  if (box_) box_->leave();
  room_.leave(this);
}

void connection::close_if_idle() {
  if (idle_) stream_.close();
}

void connection::close_now() {
  stream_.close();
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
    self->stream_.cancel();
  });
}

asio::awaitable<void> connection::run() {
  const auto self = shared_from_this();
  idle_ = false;
  arm(std::min(room_.limits.header_time, room_.limits.idle_time));
  const auto not_opened = co_await stream_.open();
  if (!not_opened) {
    while (co_await serve_one()) {
    }
    arm(std::chrono::seconds(2));
    co_await stream_.end();
  }
  deadline_.cancel();
  stream_.close();
}

/// False: the connection has come to its end.
asio::awaitable<bool> connection::serve_one() {
  if (room_.draining) co_return false;
  idle_ = true;
  if (buffer_.size() == 0) {
    // A fresh one has its time for a whole header already.
    if (has_spoken_) arm(room_.limits.idle_time);
    const auto [failed, count] =
        co_await stream_.async_read_some(buffer_.prepare(4096), to_tuple);
    if (failed) co_return false;
    buffer_.commit(count);
  }
  idle_ = false;
  const bool read = co_await read_request();
  if (!read) co_return false;
  const bool more = co_await answer();
  co_return more;
}

/// Whether the request whose header has been read may be made and send its
/// body.
std::optional<http_reply> connection::admit() {
  const auto& head = parser_->get();
  bodiless_ = head.method() == http::verb::head;
  const std::string_view target = view(head.target());
  if (target.empty() || target.front() != '/') {
    return refusal(
        400, {ec::invalid_argument, "expected a path that begins with '/'"});
  }
  if (head.count(http::field::host) > 1) {
    return refusal(400, {ec::invalid_argument,
                         "expected one Host, found several"});
  }
  // Read as no body, it would be taken for the next request.
  if (head.count(http::field::transfer_encoding) > 0 && !parser_->chunked()) {
    return refusal(400, {ec::invalid_argument,
                         "Transfer-Encoding: expected chunked, found another"});
  }
  const auto* route = room_.routes.look_up(view(head.method_string()), target);
  if (route) counted_as_ = {route->method, route->pattern};
  auto verdict = judge(room_.access, from_,
                       {.authorization = view(head[http::field::authorization]),
                        .host = view(head[http::field::host]),
                        .origin = view(head[http::field::origin])},
                       route ? route->scope : http_scope::use);
  if (verdict.refusal) return *std::move(verdict.refusal);
  caller_ = std::move(verdict.caller);

  std::size_t limit =
      std::max(room_.limits.body_bytes, route ? route->body_bytes : 0);
  // Strangers have nothing to say that takes room.
  if (caller_.scope == http_scope::open) limit = room_.limits.header_bytes;
  if (!room_.serve(this, from_, caller_)) {
    return error_reply({ec::busy, "too many connections of this caller"});
  }
  if (const auto length = parser_->content_length(); length > limit) {
    return body_too_large();
  }
  parser_->body_limit(limit);
  return std::nullopt;
}

/// Makes the bytes that are reserved for this connection's body so many. False:
/// there is no room for more.
bool connection::reserve(std::size_t bytes) {
  if (bytes > reserved_ &&
      bytes - reserved_ > room_.limits.bodies_bytes - room_.bodies_bytes)
    return false;
  room_.bodies_bytes += bytes - reserved_;
  reserved_ = bytes;
  return true;
}

asio::awaitable<bool> connection::read_request() {
  parser_.emplace();
  counted_as_ = {"other", "other"};
  bodiless_ = false;
  begun_ = std::chrono::steady_clock::now();
  parser_->header_limit(static_cast<std::uint32_t>(room_.limits.header_bytes));
  parser_->body_limit(boost::none);  // admit() knows it
  if (has_spoken_) arm(room_.limits.header_time);
  const auto [no_header, header_bytes] =
      co_await http::async_read_header(stream_, buffer_, *parser_, to_tuple);
  if (no_header) {
    const auto why = explain(no_header, timed_out_, room_.limits);
    co_return co_await refuse(why);
  }
  chunked_ = parser_->get().version() >= 11;
  const auto why = admit();
  has_spoken_ = true;
  if (why) co_return co_await refuse(why);

  const auto expect = parser_->get()[http::field::expect];
  if (lower(view(expect)) == "100-continue") {
    const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    const bool sent = co_await write(go_on);
    if (!sent) co_return false;
  }
  const bool whole = co_await read_body();
  co_return whole;
}

/// Every piece_bytes of it within body_time; what has come is reserved.
asio::awaitable<bool> connection::read_body() {
  std::size_t next_piece = 0;
  while (!parser_->is_done()) {
    const std::size_t size = parser_->get().body().size();
    if (size >= next_piece) {
      arm(room_.limits.body_time);
      next_piece = size + piece_bytes;
    }
    const auto [failed, count] =
        co_await http::async_read_some(stream_, buffer_, *parser_, to_tuple);
    if (failed) {
      const auto why = explain(failed, timed_out_, room_.limits);
      co_return co_await refuse(why);
    }
    if (!reserve(parser_->get().body().size())) {
      const std::optional<http_reply> full =
          error_reply({ec::busy, "too many large requests at once"});
      co_return co_await refuse(full);
    }
  }
  deadline_.cancel();
  co_return true;
}

asio::awaitable<bool> connection::answer() {
  auto request = parser_->release();
  parser_.reset();
  keep_alive_ = request.keep_alive();
  const std::string target(request.target());
  http_request decoded{
      .method = std::string(request.method_string()),
      .path = {},
      .content_type = media_type(view(request[http::field::content_type])),
      .body = std::move(request.body()),
      .caller = caller_,
  };
  for (const auto& field : request) {
    if (field.name() == http::field::authorization) continue;
    decoded.headers[lower(view(field.name_string()))] = view(field.value());
  }
  box_ = std::make_shared<outbox>(
      [weak = weak_from_this(), executor = stream_.get_executor()] {
        asio::post(executor, [weak] {
          if (const auto self = weak.lock()) self->signal_.cancel();
        });
      },
      room_.limits.unsent_bytes);
  left_ = false;
  answered_ = false;
  watching_ = true;
  asio::co_spawn(stream_.get_executor(), watch(), asio::detached);
  try {
    room_.routes.dispatch(target, std::move(decoded), outbox::handle(box_));
  } catch (const std::exception& thrown) {
    box_->reply(error_reply({ec::internal, thrown.what()}));
  }
  reserve(0);  // the handler has made of it what it wants
  const bool written = co_await write_answers();
  if (left_ || !written) status_ = 499;
  count();
  std::exchange(box_, nullptr)->leave();
  // Ends watch(), which alone uses the stream now. A read of its that is done
  // already cannot be cancelled: it looks at the flag.
  answered_ = true;
  stream_.cancel();
  while (watching_) {
    signal_.expires_at(asio::steady_timer::time_point::max());
    co_await signal_.async_wait(to_tuple);
  }
  room_.rest(this, from_);
  co_return written&& keep_alive_ && !left_;
}

/// Notices that the peer has left while its answer is being made. What it
/// sends in the meantime is its next request.
asio::awaitable<void> connection::watch() {
  const auto self = shared_from_this();
  while (!answered_ && buffer_.size() < room_.limits.header_bytes) {
    const auto [failed, count] =
        co_await stream_.async_read_some(buffer_.prepare(4096), to_tuple);
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
    auto ready = box_->take();
    if (ready.overflow) co_return false;
    keep_alive_ = keep_alive_ && !room_.draining;
    if (ready.whole) {
      status_ = ready.whole->status;
      const std::string whole = print_reply(told_to(caller_, std::move(*ready.whole)),
                                            keep_alive_, !bodiless_);
      const bool sent = co_await write(whole);
      co_return sent;
    }
    std::string bytes;
    if (!streaming && (ready.ended || !ready.events.empty())) {
      streaming = true;
      status_ = 200;
      keep_alive_ = keep_alive_ && chunked_;
      if (bodiless_) keep_alive_ = false;
      bytes = print_head(200, "text/event-stream", keep_alive_) +
              "Cache-Control: no-store\r\n" +
              (chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
      if (bodiless_) {
        const bool sent = co_await write(bytes);
        co_return sent;
      }
    }
    if (!ready.events.empty()) bytes += in_body(ready.events);
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
      const std::string beat = in_body(":\n\n");
      const bool sent = co_await write(beat);
      if (!sent) co_return false;
    }
  }
  co_return false;
}

/// Every piece_bytes within write_time.
asio::awaitable<bool> connection::write(const std::string& bytes) {
  for (std::size_t begin = 0; begin < bytes.size() && !left_;
       begin += piece_bytes) {
    arm(room_.limits.write_time);
    const auto piece = asio::buffer(
        bytes.data() + begin, std::min(piece_bytes, bytes.size() - begin));
    const auto [failed, count] =
        co_await asio::async_write(stream_, piece, to_tuple);
    if (failed) left_ = true;
  }
  deadline_.cancel();
  co_return !left_;
}

/// Answers what is not served, and ends the connection.
asio::awaitable<bool> connection::refuse(
    const std::optional<http_reply>& what) {
  if (!what) co_return false;
  keep_alive_ = false;
  status_ = what->status;
  count();
  const std::string bytes = print_reply(*what, keep_alive_, !bodiless_);
  const bool sent = co_await write(bytes);
  if (sent) co_await linger();
  co_return false;
}

/// Reads away what the peer is still sending: closed at once, the connection
/// would be reset and the peer might not see the answer.
asio::awaitable<void> connection::linger() {
  constexpr std::size_t enough = 4u << 20;
  error_code ignored;
  stream_.raw().shutdown(byte_stream::socket::shutdown_send, ignored);
  arm(std::chrono::seconds(2));
  std::array<char, 16384> away;
  for (std::size_t total = 0; total < enough;) {
    const auto [failed, count] =
        co_await stream_.raw().async_read_some(asio::buffer(away), to_tuple);
    if (failed) break;
    total += count;
  }
  deadline_.cancel();
}

std::string connection::in_body(const std::string& data) const {
  return chunked_ ? print_chunk(data) : data;
}

void connection::count() const {
  if (!room_.metrics) return;
  const auto taken = std::chrono::steady_clock::now() - begun_;
  room_.metrics->count_request(counted_as_.first, counted_as_.second, status_,
                               std::chrono::duration<double>(taken).count());
}

}  // namespace t2
