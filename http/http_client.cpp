#include "http/http_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "http/response_parser.hpp"
#include "http/unix_socket.hpp"

namespace t2 {
namespace {

error interrupted() {
  return {ec::cancelled, "interrupted"};
}

class connected_socket {
 public:
  connected_socket(int fd, int interrupt,
                   const http_client::on_interrupt& told)
      : fd_(fd), interrupt_(interrupt), told_(told) {}
  ~connected_socket() { ::close(fd_); }
  connected_socket(const connected_socket&) = delete;
  connected_socket& operator=(const connected_socket&) = delete;

  /// False: the peer has closed before it took all; it may have answered.
  result<bool> write(std::string_view bytes) {
    while (!bytes.empty()) {
      if (auto ready = wait(POLLOUT); !ready) return ready.error();
      const auto sent =
          ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EPIPE || errno == ECONNRESET) {
        return false;
      } else if (errno != EINTR && errno != EAGAIN) {
        return failed("cannot send");
      }
    }
    return true;
  }

  /// Empty: the peer has closed.
  result<std::string_view> read() {
    for (;;) {
      if (auto ready = wait(POLLIN); !ready) return ready.error();
      const auto got = ::recv(fd_, bytes_.data(), bytes_.size(), MSG_DONTWAIT);
      if (got >= 0) {
        return std::string_view(bytes_.data(), static_cast<std::size_t>(got));
      }
      if (errno == ECONNRESET) return std::string_view();
      if (errno != EINTR && errno != EAGAIN) return failed("cannot receive");
    }
  }

 private:
  static error failed(const char* what) {
    return {ec::io,
            std::string("socket: ") + what + ": " + std::strerror(errno)};
  }

  result<void> wait(short events) {
    std::array<pollfd, 2> both{{{fd_, events, 0}, {interrupt_, POLLIN, 0}}};
    for (;;) {
      const int ready = ::poll(both.data(), interrupt_ < 0 ? 1 : 2, -1);
      if (ready < 0 && errno != EINTR) return failed("cannot wait");
      if (ready < 0) continue;
      if (interrupt_ >= 0 && both[1].revents != 0) {
        interrupt_ = -1;
        if (!told_ || !told_()) return interrupted();
        continue;
      }
      return {};
    }
  }

  int fd_;
  int interrupt_;
  const http_client::on_interrupt& told_;
  std::array<char, 65536> bytes_;
};

std::string print_request(std::string_view method, std::string_view target,
                          std::string_view body,
                          std::string_view content_type) {
  std::string text(method);
  text.append(" ").append(target).append(" HTTP/1.1\r\nHost: t2\r\n");
  text.append("Connection: close\r\nContent-Type: ").append(content_type);
  text.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  return text.append("\r\n\r\n").append(body);
}

}  // namespace

result<client_reply> http_client::request(std::string_view method,
                                          std::string_view target,
                                          std::string_view body,
                                          std::string_view content_type) const {
  return exchange(print_request(method, target, body, content_type), nullptr,
                  {});
}

result<client_reply> http_client::stream(
    std::string_view method, std::string_view target, std::string_view body,
    const std::function<bool(server_event)>& on_event,
    const on_interrupt& told) const {
  return exchange(print_request(method, target, body, "application/json"),
                  on_event, told);
}

result<client_reply> http_client::exchange(
    const std::string& request,
    const std::function<bool(server_event)>& on_event,
    const on_interrupt& told) const {
  const auto fd = connect_unix_socket(settings_.socket);
  if (!fd) return fd.error();
  connected_socket peer(*fd, settings_.interrupt, told);
  client_reply reply;
  event_stream events;
  std::string piece;
  bool wanted = true;
  response_parser parser([&](std::string_view text) { piece += text; });
  // A server that refuses a body may answer before it has read it all.
  if (auto sent = peer.write(request); !sent) return sent.error();
  while (!parser.done()) {
    const auto bytes = peer.read();
    if (!bytes) return bytes.error();
    auto fine = bytes->empty() ? parser.finish() : parser.feed(*bytes);
    if (!fine) return fine.error();
    if (on_event && parser.content_type() == "text/event-stream") {
      events.feed(std::exchange(piece, {}), [&](server_event event) {
        wanted = wanted && on_event(std::move(event));
      });
      if (!wanted) return error{ec::cancelled, "given up"};
    } else {
      reply.body += std::exchange(piece, {});
      if (reply.body.size() > settings_.most_bytes) {
        return error{ec::exhausted, "the server's answer is too large"};
      }
    }
  }
  reply.status = parser.status();
  reply.content_type = parser.content_type();
  return reply;
}

}  // namespace t2
