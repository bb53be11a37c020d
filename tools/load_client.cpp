#include "tools/load_client.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "http/error_form.hpp"
#include "http/unix_socket.hpp"
#include "tools/stream_measurement.hpp"

namespace t2 {
namespace {

using steady = std::chrono::steady_clock;

/// A connection below HTTP, for those who do not keep to it.
class raw_connection {
 public:
  explicit raw_connection(const std::filesystem::path& socket) {
    if (const auto connected = connect_unix_socket(socket)) fd_ = *connected;
  }
  ~raw_connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  raw_connection(const raw_connection&) = delete;
  raw_connection& operator=(const raw_connection&) = delete;

  /// False when nobody listens or takes it.
  bool write(std::string_view bytes) const {
    while (fd_ >= 0 && !bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return fd_ >= 0;
  }
  /// A few bytes, where there are any; false when the server has closed.
  bool read_little() const {
    std::array<char, 64> bytes;
    const auto got = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }

 private:
  int fd_ = -1;  // no connection
};

std::string print_request(const load_request& request) {
  return "POST " + request.path +
         " HTTP/1.1\r\nHost: t2\r\nConnection: close\r\n"
         "Content-Type: application/json\r\nContent-Length: " +
         std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
}

load_end end_of(const error& failure) {
  return failure.code == ec::cancelled ? load_end::cancelled : load_end::failed;
}

}  // namespace

load_outcome load_client::send(const load_request& request, manners how,
                               steady::time_point due) const {
  switch (how) {
    case manners::good: return ask(request, due);
    case manners::vanishes:
      vanish(request);
      return {.end = load_end::vanished, .target = request.target};
    case manners::sends_half:
      send_half(request);
      return {.end = load_end::half_request, .target = request.target};
    case manners::reads_slowly:
      read_slowly(request);
      return {.end = load_end::slow_reader, .target = request.target};
  }
  return {};
}

load_outcome load_client::ask(const load_request& request,
                              steady::time_point due) const {
  stream_measurement measured(due);
  const auto reply = http_.stream(
      "POST", request.path, request.body, [&](const server_event& event) {
        measured.take(event, steady::now());
        return true;
      });
  load_outcome outcome{.target = request.target, .prompt = request.prompt};
  outcome.latency = std::chrono::duration<double>(steady::now() - due).count();
  if (!reply) {
    outcome.end = end_of(reply.error());
    outcome.problem = reply.error();
    return outcome;
  }
  if (reply->status != 200) {
    const bool refused = reply->status == 429 || reply->status == 503;
    outcome.end = refused ? load_end::busy : load_end::failed;
    outcome.problem = error_from_form(reply->status, reply->body);
    return outcome;
  }
  if (measured.failure()) {
    outcome.end = load_end::failed;
    outcome.problem = measured.failure();
    return outcome;
  }
  if (const auto problem = measured.problem()) {
    outcome.end = load_end::incomplete;
    outcome.problem =
        error{ec::internal, "an answer of '" + request.target +
                                "' is not whole: " + *problem};
    return outcome;
  }
  outcome.end = load_end::ok;
  outcome.first_token = measured.first_token_seconds();
  outcome.gaps = measured.gaps();
  outcome.text = measured.text();
  outcome.prompt_tokens = measured.prompt_tokens();
  outcome.answer_tokens = measured.answer_tokens();
  return outcome;
}

void load_client::vanish(const load_request& request) const {
  int events = 0;
  // What it returns is that it was given up.
  (void)http_.stream("POST", request.path, request.body,
                     [&](const server_event&) { return ++events < 3; });
}

void load_client::send_half(const load_request& request) const {
  const raw_connection peer(http_.chosen().socket);
  const std::string whole = print_request(request);
  if (peer.write(std::string_view(whole).substr(0, whole.size() / 2))) {
    signals_.wait(50);
  }
}

void load_client::read_slowly(const load_request& request) const {
  constexpr auto patience = std::chrono::seconds(30);
  const raw_connection peer(http_.chosen().socket);
  if (!peer.write(print_request(request))) return;
  const auto begin = steady::now();
  while (steady::now() - begin < patience && !signals_.wait(20)) {
    if (!peer.read_little()) return;
  }
}

}  // namespace t2
