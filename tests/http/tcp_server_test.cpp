#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include "http/error_form.hpp"
#include "http/http_client.hpp"
#include "http/server.hpp"
#include "tests/http/raw_peer.hpp"
#include "tests/http/temporary_folder.hpp"

namespace t2 {
namespace {

using test::raw_peer;

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// What a shell command says, and how it ends.
std::pair<std::string, int> shell(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string said;
  std::array<char, 4096> bytes;
  while (const auto count = std::fread(bytes.data(), 1, bytes.size(), pipe)) {
    said.append(bytes.data(), count);
  }
  const int ended = ::pclose(pipe);
  return {said, WIFEXITED(ended) ? WEXITSTATUS(ended) : -1};
}

constexpr const char* key_of_user =
    "Authorization: Bearer user-0123456789ab\r\n";
constexpr const char* key_of_root =
    "Authorization: Bearer root-0123456789ab\r\n";

/// A server on TCP too, whose handlers say who asked.
class tcp_server : public testing::Test {
 protected:
  tcp_server() {
    limits_.body_bytes = 1000;
    limits_.header_bytes = 2000;
    limits_.kept_connections = 0;
    const auto who = [](http_request request,
                        std::shared_ptr<exchange> answer) {
      answer->reply({.content_type = "text/plain",
                     .body = std::string(to_string(request.caller.scope)) +
                             "|" + request.caller.name + "|" +
                             request.headers["x-said"] + "|" +
                             std::to_string(request.headers.count(
                                 "authorization")) +
                             "|" + request.body});
    };
    routes_.add("GET", "/open", who);
    routes_.add("POST", "/use", who);
    routes_.add("POST", "/administer", who, 1u << 20);
    routes_.add("GET", "/forever",
                [this](http_request, std::shared_ptr<exchange> answer) {
                  answer->event("progress", "begun");
                  answer->on_leave([this] {
                    const std::lock_guard lock(mutex_);
                    left_ = true;
                    changed_.notify_all();
                  });
                  const std::lock_guard lock(mutex_);
                  held_.push_back(std::move(answer));
                });
    routes_.add("GET", "/stream",
                [](http_request, std::shared_ptr<exchange> answer) {
                  for (int i = 0; i < 1000; ++i) {
                    answer->event("", std::string(1000, 'x'));
                  }
                  answer->event("", "the end");
                  answer->end();
                });
    routes_.allow("GET", "/open", http_scope::open);
    for (const char* path : {"/use", "/forever", "/stream"}) {
      routes_.allow("POST", path, http_scope::use);
      routes_.allow("GET", path, http_scope::use);
    }
  }

  result<std::unique_ptr<server>> try_start() {
    return server::start(folder_ / "socket", routes_, limits_, tcp_, metrics_);
  }
  void start() {
    auto made = try_start();
    ASSERT_TRUE(made) << made.error().message;
    server_ = *std::move(made);
    const auto& address = server_->tcp_address();
    port_ = static_cast<std::uint16_t>(
        std::stoul(address.substr(address.rfind(':') + 1)));
  }
  void use_keys() {
    auto ring = key_ring::parse(
        "root administer root-0123456789ab\nuser use user-0123456789ab\n", "");
    tcp_.keys = std::make_shared<const key_ring>(*std::move(ring));
  }
  /// A certificate for localhost that signs itself.
  void use_tls() {
    tcp_.certificate = folder_ / "certificate.pem";
    tcp_.certificate_key = folder_ / "key.pem";
    const auto [said, ended] = shell(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
        "-nodes -days 2 -subj /CN=localhost -addext "
        "subjectAltName=DNS:localhost -keyout " +
        tcp_.certificate_key.string() + " -out " + tcp_.certificate.string());
    ASSERT_EQ(ended, 0) << said;
  }

  std::string ask(const std::string& bytes) {
    raw_peer peer(port_);
    peer.say(bytes);
    return peer.hear_all();
  }
  static std::string request(const std::string& line,
                             const std::string& headers = {},
                             const std::string& body = {}) {
    return line + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
           headers + "Content-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }
  bool wait_until_left() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return left_; });
  }
  std::string counted() const {
    metrics_text out;
    metrics_->write(out);
    return out.text();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool left_ = false;
  test::temporary_folder folder_;
  server_limits limits_;
  router routes_;
  tcp_settings tcp_{.listen = {"127.0.0.1", 0}};
  std::shared_ptr<serving_metrics> metrics_ =
      std::make_shared<serving_metrics>();
  std::vector<std::shared_ptr<exchange>> held_;
  std::uint16_t port_ = 0;
  std::unique_ptr<server> server_;
};

TEST_F(tcp_server, answers_on_both_sockets) {
  start();
  EXPECT_EQ(server_->tcp_address(),
            "http://127.0.0.1:" + std::to_string(port_));
  EXPECT_TRUE(ask(request("POST /administer", "X-Said: hello\r\n", "body"))
                  .ends_with("\r\n\r\nadminister|loopback|hello|0|body"));
  const auto reply =
      http_client({.socket = folder_ / "socket"}).request("POST", "/use");
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->body.starts_with("administer|socket|"));
}

TEST_F(tcp_server, listens_on_ipv6_where_there_is_some) {
  tcp_.listen.host = "::1";
  auto made = try_start();
  if (!made) GTEST_SKIP() << made.error().message;
  EXPECT_TRUE((*made)->tcp_address().starts_with("http://[::1]:"));
  const auto [said, ended] = shell("curl -sg " + (*made)->tcp_address() +
                                   "/open");
  EXPECT_EQ(said, "administer|loopback||0|");
}

TEST_F(tcp_server, names_what_is_wrong_with_where_it_should_listen) {
  start();
  tcp_settings taken{.listen = {"127.0.0.1", port_}};
  const auto refused =
      server::start(folder_ / "other", routes_, limits_, taken);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::busy);
  EXPECT_TRUE(has(refused.error().message, std::to_string(port_)));

  tcp_.listen.host = "name.invalid";
  const auto unknown = server::start(folder_ / "other", routes_, limits_, tcp_);
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(has(unknown.error().message, "name.invalid"));
}

TEST_F(tcp_server, does_not_listen_for_others_without_keys) {
  tcp_.listen.host = "0.0.0.0";
  const auto refused = try_start();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::invalid_argument);
  EXPECT_TRUE(has(refused.error().message, "server.keys"));
  EXPECT_FALSE(has(refused.error().message, "\n"));
  use_keys();
  EXPECT_TRUE(try_start());
}

TEST_F(tcp_server, refuses_what_a_browser_sends_for_another_page) {
  start();
  const std::string foreign =
      "GET /open HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
  const auto rebound = ask(foreign);
  EXPECT_TRUE(rebound.starts_with("HTTP/1.1 403 ")) << rebound;
  const auto other =
      ask(request("POST /use", "Origin: http://evil.example\r\n", "x"));
  EXPECT_TRUE(other.starts_with("HTTP/1.1 403 ")) << other;
  const auto asked_before = ask(
      request("OPTIONS /use",
              "Origin: http://localhost\r\n"
              "Access-Control-Request-Method: POST\r\n"));
  EXPECT_TRUE(asked_before.starts_with("HTTP/1.1 405 ")) << asked_before;
  for (const auto& heard : {rebound, other, asked_before,
                            ask(request("GET /open"))}) {
    EXPECT_FALSE(has(heard, "Access-Control")) << heard;
  }
}

TEST_F(tcp_server, asks_for_a_key_before_it_reads_a_body) {
  use_keys();
  start();
  EXPECT_TRUE(has(ask(request("GET /open")), "open||"));
  raw_peer peer(port_);
  peer.say(
      "POST /administer HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
      "Content-Length: 1000000\r\n\r\n");
  const auto refused = peer.hear_all();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n")) << refused;
  EXPECT_TRUE(has(refused, "WWW-Authenticate: Bearer\r\n"));
  // What is not there is not told to strangers either.
  EXPECT_TRUE(ask(request("GET /nothing")).starts_with("HTTP/1.1 401 "));

  const std::string user = "Authorization: Bearer user-0123456789ab\r\n";
  EXPECT_TRUE(has(ask(request("POST /use", user)), "use|user||0|"));
  EXPECT_TRUE(ask(request("POST /administer", user))
                  .starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(ask(request("GET /nothing", user)).starts_with("HTTP/1.1 404 "));
  const std::string root = "Authorization: Bearer root-0123456789ab\r\n";
  EXPECT_TRUE(has(ask(request("POST /administer", root)), "administer|root|"));
}

TEST_F(tcp_server, takes_no_large_body_from_a_stranger) {
  use_keys();
  limits_.header_bytes = 500;
  limits_.body_bytes = 2000;
  start();
  const std::string body(1000, 'x');
  const std::string user = "Authorization: Bearer user-0123456789ab\r\n";
  EXPECT_TRUE(ask(request("GET /open", "", body)).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(has(ask(request("GET /open", user, body)), "use|user||0|xxx"));
}

TEST_F(tcp_server, an_answer_to_head_has_no_body) {
  start();
  for (const auto& [line, status] : {std::pair{"HEAD /open", "200"},
                                     {"HEAD /stream", "200"},
                                     {"HEAD /use", "405"}}) {
    const auto heard = ask(request(line));
    EXPECT_TRUE(heard.starts_with(std::string("HTTP/1.1 ") + status)) << heard;
    EXPECT_TRUE(heard.ends_with("\r\n\r\n")) << heard;
  }
}

// A read that has ended just when the answer is written cannot be cancelled: it
// takes some hundred tries to meet one.
TEST_F(tcp_server, large_pipelined_requests_do_not_stop_a_connection) {
  limits_.header_bytes = 16 << 10;
  const auto spin = [](unsigned microseconds) {
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::microseconds(microseconds);
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  std::mt19937 random(3);
  std::jthread worker;
  routes_.add("GET", "/later",
              [&](http_request, std::shared_ptr<exchange> answer) {
                worker = std::jthread([&spin, answer = std::move(answer),
                                       wait = static_cast<unsigned>(random() % 300)] {
                  spin(wait);
                  answer->reply({.content_type = "text/plain", .body = "late"});
                });
              });
  routes_.allow("GET", "/later", http_scope::use);
  start();
  raw_peer peer(port_);
  const std::string one = "GET /later HTTP/1.1\r\nHost: localhost\r\nX: " +
                          std::string(9000, 'h') + "\r\n\r\n";
  for (unsigned round = 0; round < 3000; ++round) {
    peer.say(one);
    spin(round % 300);
    peer.say(one);
    ASSERT_TRUE(has(peer.hear_until("late"), "200 OK")) << round;
    ASSERT_TRUE(has(peer.hear_until("late"), "200 OK")) << round;
  }
  server_.reset();
}

TEST_F(tcp_server, limits_hold_on_tcp_too) {
  limits_.header_time = std::chrono::milliseconds(50);
  limits_.body_time = std::chrono::milliseconds(50);
  limits_.idle_time = std::chrono::milliseconds(50);
  start();
  EXPECT_TRUE(ask("GET /open HTT").starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(ask("POST /use HTTP/1.1\r\nHost: localhost\r\n"
                  "Content-Length: 5\r\n\r\nab")
                  .starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(ask(""), "");
  EXPECT_TRUE(ask("GET /" + std::string(3000, 'x') + " HTTP/1.1\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(ask(request("POST /use", "", std::string(1001, 'x')))
                  .starts_with("HTTP/1.1 413 "));
}

TEST_F(tcp_server, a_header_that_trickles_in_ends_when_its_time_is_over) {
  limits_.header_time = std::chrono::milliseconds(200);
  start();
  raw_peer peer(port_);
  const auto begin = std::chrono::steady_clock::now();
  peer.say("GET /open HTTP/1.1\r\n");
  while (peer.say("A: b\r\n") && !peer.can_hear(20)) {
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_TRUE(peer.hear_all().starts_with("HTTP/1.1 408 "));
}

TEST_F(tcp_server, some_places_are_kept_for_the_unix_socket) {
  limits_.connections = 3;
  limits_.kept_connections = 1;
  start();
  raw_peer first(port_), second(port_);
  for (auto* peer : {&first, &second}) {
    peer->say("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(has(peer->hear_until("|0|"), "200 OK"));
  }
  const auto refused = raw_peer(port_).hear_all();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 429 ")) << refused;
  EXPECT_TRUE(has(refused, "Retry-After: 1\r\n"));
  EXPECT_TRUE(has(refused, "rate_limit_error"));
  const auto inside =
      http_client({.socket = folder_ / "socket"}).request("GET", "/open");
  ASSERT_TRUE(inside) << inside.error().message;
  EXPECT_EQ(inside->status, 200);
  EXPECT_TRUE(has(counted(), "t2_http_connections_refused_total 1\n"));
}

// Nobody who says nothing keeps others out: the oldest of them makes room.
TEST_F(tcp_server, a_silent_crowd_gives_way) {
  limits_.connections = 8;
  limits_.kept_connections = 2;
  start();
  std::deque<raw_peer> crowd;
  for (int i = 0; i < 6; ++i) crowd.emplace_back(port_);
  crowd[3].say("GET /open HTTP/1.1\r\nHost: local");  // half a header
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(has(ask(request("GET /open")), "200 OK")) << i;
    EXPECT_EQ(crowd[0].hear_all(), "") << "closed for it, oldest first";
    crowd.pop_front();
    crowd.emplace_back(port_);
  }
  const auto inside =
      http_client({.socket = folder_ / "socket"}).request("GET", "/open");
  ASSERT_TRUE(inside) << inside.error().message;
  EXPECT_EQ(inside->status, 200);
}

TEST_F(tcp_server, strangers_between_requests_give_way) {
  limits_.connections = 4;
  use_keys();
  start();
  std::deque<raw_peer> crowd;
  for (int i = 0; i < 4; ++i) {
    crowd.emplace_back(port_).say("GET /open HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(has(crowd.back().hear_until("|0|"), "200 OK"));
  }
  EXPECT_TRUE(has(ask(request("POST /use", key_of_user)), "200 OK"));
  EXPECT_TRUE(has(ask(request("POST /use", key_of_user)), "200 OK"));
}

TEST_F(tcp_server, one_key_leaves_places_for_others) {
  limits_.connections = 10;
  use_keys();
  start();
  const auto forever = [](const std::string& key) {
    return "GET /forever HTTP/1.1\r\nHost: a\r\n" + key + "\r\n";
  };
  std::deque<raw_peer> streams;
  for (int i = 0; i < 8; ++i) {
    streams.emplace_back(port_).say(forever(key_of_user));
    EXPECT_TRUE(has(streams.back().hear_until("begun"), "200 OK")) << i;
  }
  const auto refused = ask(request("POST /use", key_of_user));
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 429 ")) << refused;
  EXPECT_TRUE(has(refused, "of this caller"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(has(ask(request("POST /use", key_of_root)), "200 OK"));
  }
}

TEST_F(tcp_server, one_key_too_many_takes_the_place_of_its_own_idle_one) {
  limits_.connections = 5;
  use_keys();
  start();
  const std::string asked =
      "POST /use HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" +
      std::string(key_of_user) + "\r\n";
  std::deque<raw_peer> idle;
  for (int i = 0; i < 8; ++i) {
    idle.emplace_back(port_).say(asked);
    EXPECT_TRUE(has(idle.back().hear_until("|0|"), "200 OK")) << i;
    if (idle.size() <= 4) continue;
    EXPECT_EQ(idle.front().hear_all(), "") << i;
    idle.pop_front();
  }
  EXPECT_TRUE(has(ask(request("POST /use", key_of_root)), "200 OK"));
}

// Without a descriptor left nothing hangs, on either socket.
TEST_F(tcp_server, gets_descriptors_back_from_those_who_are_silent) {
  start();
  std::deque<raw_peer> crowd;
  for (int i = 0; i < 6; ++i) crowd.emplace_back(port_);
  // All have been accepted: the server says something to the next one.
  EXPECT_TRUE(has(ask(request("GET /open")), "200 OK"));
  struct late_peer {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ~late_peer() { ::close(fd); }
  };
  std::deque<late_peer> late(4);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);  // the least that is free
  ::close(next);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string asked = request("GET /open");
  for (auto& peer : late) {
    ASSERT_EQ(::connect(peer.fd, reinterpret_cast<const sockaddr*>(&address),
                        sizeof address),
              0);
    ASSERT_EQ(::send(peer.fd, asked.data(), asked.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(asked.size()));
    std::array<char, 4096> bytes;
    pollfd ready{peer.fd, POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
    const auto got = ::recv(peer.fd, bytes.data(), bytes.size(), 0);
    ASSERT_GT(got, 0);
    EXPECT_TRUE(std::string_view(bytes.data(), static_cast<std::size_t>(got))
                    .starts_with("HTTP/1.1 200 "));
  }
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(tcp_server, tells_users_no_folders) {
  routes_.add("GET", "/fails", [](http_request r, std::shared_ptr<exchange> a) {
    const ec code = r.query["how"] == "io" ? ec::io : ec::not_found;
    a->reply(error_reply({code, "store /srv/t2/store.db: gone"}));
  });
  routes_.allow("GET", "/fails", http_scope::use);
  use_keys();
  start();
  const auto missing = ask(request("GET /fails", key_of_user));
  EXPECT_TRUE(has(missing, "404")) << missing;
  EXPECT_TRUE(has(missing, "store store.db: gone")) << missing;
  const auto failed = ask(request("GET /fails?how=io", key_of_user));
  EXPECT_FALSE(has(failed, "srv")) << failed;
  EXPECT_TRUE(has(ask(request("GET /fails?how=io", key_of_root)),
                  "store /srv/t2/store.db: gone"));
}

TEST_F(tcp_server, tells_when_the_peer_leaves) {
  start();
  {
    raw_peer peer(port_);
    peer.say("GET /forever HTTP/1.1\r\nHost: localhost\r\n\r\n");
    peer.hear_until("begun");
  }
  EXPECT_TRUE(wait_until_left());
}

TEST_F(tcp_server, counts_what_it_answers) {
  start();
  ask(request("GET /open"));
  ask(request("GET /nothing?x=1"));
  ask(request("POST /use", "", std::string(1001, 'x')));
  const auto text = counted();
  EXPECT_TRUE(has(text, R"(method="GET",path="/open",status="200"} 1)"));
  EXPECT_TRUE(has(text, R"(method="other",path="other",status="404"} 1)"));
  EXPECT_TRUE(has(text, R"(method="POST",path="/use",status="413"} 1)"))
      << text;
}

TEST_F(tcp_server, speaks_tls) {
  use_tls();
  start();
  ASSERT_TRUE(server_->tcp_address().starts_with("https://127.0.0.1:"));
  const std::string url = server_->tcp_address();
  const std::string curl = "curl -sk --max-time 20 ";
  EXPECT_EQ(shell(curl + "-d hello " + url + "/use").first,
            "administer|loopback||0|hello");
  // One connection for three requests, a stream among them.
  const auto [three, ended] =
      shell(curl + url + "/open " + url + "/stream " + url + "/open");
  EXPECT_EQ(ended, 0);
  EXPECT_TRUE(has(three, "data: the end\n\nadminister|")) << three.size();
  // A certificate that nobody vouches for is one.
  EXPECT_EQ(shell("curl -s --max-time 20 " + url + "/open").second, 60);
  EXPECT_EQ(shell("curl -s --max-time 20 --cacert " +
                  tcp_.certificate.string() + " https://localhost:" +
                  std::to_string(port_) + "/open")
                .first,
            "administer|loopback||0|");
  EXPECT_NE(shell(curl + "--tls-max 1.1 " + url + "/open").second, 0);
}

TEST_F(tcp_server, a_peer_that_leaves_a_stream_under_tls_is_noticed) {
  use_tls();
  start();
  shell("timeout -s KILL 1 curl -skN " + server_->tcp_address() + "/forever");
  EXPECT_TRUE(wait_until_left());
}

TEST_F(tcp_server, what_is_no_tls_ends_where_some_is_expected) {
  use_tls();
  limits_.header_time = std::chrono::milliseconds(100);
  start();
  EXPECT_FALSE(has(ask(request("GET /open")), "200 OK"));
  EXPECT_EQ(ask(""), "");  // a handshake that never comes
  EXPECT_EQ(shell("curl -sk --max-time 20 " + server_->tcp_address() +
                  "/open").second,
            0);
}

TEST_F(tcp_server, names_the_certificate_or_key_that_is_not_right) {
  use_tls();
  tcp_.certificate_key = tcp_.certificate;
  const auto no_key = try_start();
  ASSERT_FALSE(no_key);
  EXPECT_TRUE(has(no_key.error().message, "server.tls_key: "));
  tcp_.certificate = folder_ / "nothing.pem";
  const auto none = try_start();
  ASSERT_FALSE(none);
  EXPECT_TRUE(has(none.error().message, "nothing.pem"));
  EXPECT_EQ(none.error().code, ec::invalid_argument);
}

}  // namespace
}  // namespace t2
