#include "http/server.hpp"

#include <gtest/gtest.h>

#include <deque>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "http/http_client.hpp"
#include "tests/http/raw_peer.hpp"
#include "tests/http/temporary_folder.hpp"

namespace t2 {
namespace {

using test::raw_peer;
using test::temporary_folder;

/// Something that happens once, and can be waited for.
class occasion {
 public:
  void happen() {
    const std::lock_guard lock(mutex_);
    happened_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return happened_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool happened_ = false;
};

class http_server : public testing::Test {
 protected:
  http_server() {
    limits_.body_bytes = 1000;
    limits_.header_bytes = 2000;
    routes_.add(
        "POST", "/echo",
        [](http_request request, std::shared_ptr<exchange> answer) {
          answer->reply({.content_type = "text/plain",
                         .body = request.content_type + "|" + request.body});
        });
    routes_.add(
        "POST", "/large",
        [](http_request request, std::shared_ptr<exchange> answer) {
          answer->reply({.body = std::to_string(request.body.size())});
        },
        1u << 20);
    routes_.add("GET", "/forever",
                [this](http_request, std::shared_ptr<exchange> answer) {
                  answer->event("progress", "begun");
                  answer->on_leave([this] { left_.happen(); });
                  held_ = std::move(answer);
                  begun_.happen();
                });
    routes_.add("GET", "/silent",
                [this](http_request, std::shared_ptr<exchange> answer) {
                  answer->on_leave([this] { left_.happen(); });
                  held_ = std::move(answer);
                  begun_.happen();
                });
    routes_.add("GET", "/flood",
                [this](http_request, std::shared_ptr<exchange> answer) {
                  answer->on_leave([this] { left_.happen(); });
                  held_ = answer;
                  for (int i = 0; i < 2000; ++i) {
                    answer->event("", std::string(1000, 'x'));
                  }
                  begun_.happen();
                });
    routes_.add("GET", "/dropped",
                [](http_request, std::shared_ptr<exchange>) {});
    routes_.add("GET", "/throws", [](http_request, std::shared_ptr<exchange>) {
      throw std::runtime_error("a defect");
    });
    routes_.add("GET", "/thread",
                [this](http_request, std::shared_ptr<exchange> answer) {
                  thread_ = std::thread([answer] {
                    for (int i = 0; i < 100; ++i) {
                      answer->event("n", std::to_string(i));
                    }
                    answer->end();
                  });
                });
  }
  ~http_server() override {
    server_.reset();
    if (thread_.joinable()) thread_.join();
  }

  void start() {
    auto made = server::start(socket_, routes_, limits_);
    ASSERT_TRUE(made) << made.error().message;
    server_ = *std::move(made);
  }

  std::string ask(const std::string& bytes) {
    raw_peer peer(socket_);
    peer.say(bytes);
    return peer.hear_all();
  }

  static std::string post(const std::string& body,
                          const std::string& headers = {}) {
    return "POST /echo HTTP/1.1\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  // The outbox's callbacks name these, so they outlive the server.
  occasion begun_, left_;
  temporary_folder folder_;
  std::filesystem::path socket_ = folder_ / "socket";
  server_limits limits_;
  router routes_;
  std::shared_ptr<exchange> held_;
  std::thread thread_;
  std::unique_ptr<server> server_;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(http_server, answers_and_keeps_the_connection) {
  start();
  raw_peer peer(socket_);
  for (int i = 0; i < 3; ++i) {
    peer.say(post("hello", "Content-Type: Text/Plain; charset=utf-8\r\n"));
    const auto heard = peer.hear_until("|hello");
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 OK\r\n")) << heard;
    EXPECT_TRUE(has(heard, "Connection: keep-alive\r\n")) << heard;
    EXPECT_TRUE(has(heard, "text/plain|hello")) << heard;
  }
}

TEST_F(http_server, answers_pipelined_requests_in_their_order) {
  start();
  std::string both;
  for (int i = 0; i < 20; ++i) both += post("request" + std::to_string(i));
  both += post("last", "Connection: close\r\n");
  const auto heard = ask(both);
  std::size_t at = 0;
  for (int i = 0; i < 20; ++i) {
    at = heard.find("|request" + std::to_string(i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_TRUE(heard.ends_with("|last"));
}

TEST_F(http_server, reads_a_request_that_comes_byte_by_byte) {
  start();
  raw_peer peer(socket_);
  for (const char c : post("slow", "Connection: close\r\n")) {
    ASSERT_TRUE(peer.say({&c, 1}));
  }
  EXPECT_TRUE(peer.hear_all().ends_with("|slow"));
}

TEST_F(http_server, reads_chunked_bodies) {
  start();
  EXPECT_TRUE(ask("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                  "Connection: close\r\n\r\n"
                  "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
                  .ends_with("|abcde"));
}

TEST_F(http_server, refuses_what_is_not_http) {
  start();
  const std::vector<std::string> bad = {
      "hello\r\n\r\n",
      "GET /echo\r\n\r\n",
      "GET /echo HTTP/3.7\r\n\r\n",
      "GET echo HTTP/1.1\r\n\r\n",
      "GET * HTTP/1.1\r\n\r\n",
      "GET http://elsewhere/echo HTTP/1.1\r\n\r\n",
      "GET /echo HTTP/1.1\r\nno colon\r\n\r\n",
      std::string("GET /e\0cho HTTP/1.1\r\n\r\n", 24),
      "POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: "
      "chunked\r\n\r\nabc",
      "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
      "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
      "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "ffffffffffffffffff\r\nab\r\n",
  };
  for (const auto& bytes : bad) {
    const auto heard = ask(bytes);
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 400 ")) << bytes << heard;
    EXPECT_TRUE(has(heard, "\"invalid_argument\"")) << bytes << heard;
    EXPECT_EQ(heard.find("HTTP/1.1 ", 1), std::string::npos) << bytes;
  }
}

TEST_F(http_server, half_a_request_has_no_effect) {
  start();
  const std::string whole = post("never answered");
  for (const std::size_t cut :
       {std::size_t{1}, std::size_t{10}, whole.size() / 2, whole.size() - 1}) {
    raw_peer peer(socket_);
    peer.say(whole.substr(0, cut));
  }
  EXPECT_TRUE(has(ask(post("next", "Connection: close\r\n")), "|next"));
}

TEST_F(http_server, refuses_huge_headers) {
  start();
  const std::string padding(3000, 'x');
  EXPECT_TRUE(ask("GET /echo HTTP/1.1\r\nA: " + padding + "\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(ask("GET /" + padding + " HTTP/1.1\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
  std::string many = "GET /echo HTTP/1.1\r\n";
  for (int i = 0; i < 100'000; ++i) many += "A: b\r\n";
  EXPECT_TRUE(ask(many).starts_with("HTTP/1.1 431 "));
}

TEST_F(http_server, refuses_a_body_that_the_route_does_not_take) {
  start();
  const std::string body(1001, 'x');
  EXPECT_TRUE(ask(post(body)).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(ask("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3e9\r\n" +
                  body + "\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(ask("POST /large HTTP/1.1\r\nConnection: close\r\n"
                  "Content-Length: 1001\r\n\r\n" +
                  body)
                  .ends_with("\r\n\r\n1001"));
}

TEST_F(http_server, bounds_the_bodies_of_all_requests_together) {
  limits_.bodies_bytes = 1500;
  start();
  raw_peer first(socket_);
  first.say("POST /echo HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" +
            std::string(900, 'y'));
  const std::string body(800, 'x');
  // Until what the first has sent is read.
  std::string heard;
  for (int i = 0; i < 200 && !heard.starts_with("HTTP/1.1 429 "); ++i)
    heard = ask(post(body, "Connection: close\r\n"));
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 429 ")) << heard;
  first.say(std::string(100, 'y'));
  EXPECT_TRUE(has(first.hear_until("yyy"), "200 OK"));
  EXPECT_TRUE(has(ask(post(body, "Connection: close\r\n")), "200 OK"));
}

TEST_F(http_server, reserves_no_room_for_what_a_stream_could_have_sent) {
  limits_.bodies_bytes = 1500;
  start();
  std::deque<raw_peer> peers;
  for (int i = 0; i < 8; ++i) {
    auto& peer = peers.emplace_back(socket_);
    peer.say("GET /forever HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
             "2\r\n{}\r\n0\r\n\r\n");
    EXPECT_TRUE(has(peer.hear_until("begun"), "200 OK"));
  }
}

TEST_F(http_server, takes_no_body_for_the_next_request) {
  start();
  for (const char* coding : {"xchunked", "identity", "chunked, gzip"}) {
    const auto heard = ask("POST /echo HTTP/1.1\r\nTransfer-Encoding: " +
                           std::string(coding) +
                           "\r\n\r\nGET /throws HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 400 ")) << heard;
    EXPECT_EQ(heard.find("HTTP/1.1", 1), std::string::npos) << heard;
  }
  EXPECT_TRUE(ask("GET /silent HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
                  .starts_with("HTTP/1.1 400 "));
}

// Two megabytes in two seconds; each quarter of one may take a second.
TEST_F(http_server, a_slow_reader_that_goes_on_reading_gets_everything) {
  limits_.write_time = std::chrono::seconds(1);
  start();
  raw_peer peer(socket_);
  peer.say("GET /flood HTTP/1.1\r\n\r\n");
  std::size_t total = 0;
  while (total < 2'000'000) {
    const auto got = peer.hear_some(64 << 10);
    ASSERT_GT(got, 0u) << total;
    total += got;
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
  }
}

TEST_F(http_server, gives_up_on_a_slow_header) {
  limits_.header_time = std::chrono::milliseconds(50);
  start();
  EXPECT_TRUE(ask("GET /echo HTT").starts_with("HTTP/1.1 408 "));
}

TEST_F(http_server, gives_up_on_a_slow_body) {
  limits_.body_time = std::chrono::milliseconds(50);
  start();
  EXPECT_TRUE(ask("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
                  .starts_with("HTTP/1.1 408 "));
}

TEST_F(http_server, closes_idle_connections) {
  limits_.idle_time = std::chrono::milliseconds(50);
  start();
  EXPECT_EQ(ask(""), "");
}

TEST_F(http_server, turns_away_more_peers_than_it_allows) {
  limits_.connections = 2;
  start();
  raw_peer first(socket_), second(socket_);
  for (auto* peer : {&first, &second}) {
    peer->say(post("in"));
    EXPECT_TRUE(has(peer->hear_until("|in"), "200 OK"));
  }
  EXPECT_TRUE(raw_peer(socket_).hear_all().starts_with("HTTP/1.1 429 "));
  // Once the server has seen the first one go there is room again.
  first.close();
  std::string heard;
  do {
    heard = ask(post("late", "Connection: close\r\n"));
  } while (heard.empty() || heard.starts_with("HTTP/1.1 429 "));
  EXPECT_TRUE(has(heard, "|late"));
}

TEST_F(http_server, streams_events_that_another_thread_makes) {
  start();
  const http_client client({.socket = socket_});
  int next = 0;
  const auto reply =
      client.stream("GET", "/thread", "", [&](server_event event) {
        EXPECT_EQ(event.name, "n");
        EXPECT_EQ(event.data, std::to_string(next));
        ++next;
        return true;
      });
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->content_type, "text/event-stream");
  EXPECT_EQ(next, 100);
}

TEST_F(http_server, streams_to_a_peer_without_chunks) {
  start();
  const auto heard = ask("GET /thread HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(has(heard, "chunked"));
  EXPECT_TRUE(heard.ends_with("event: n\ndata: 99\n\n")) << heard;
}

TEST_F(http_server, goes_on_with_a_connection_after_a_stream) {
  start();
  raw_peer peer(socket_);
  peer.say("GET /thread HTTP/1.1\r\n\r\n" +
           post("after", "Connection: close\r\n"));
  const auto heard = peer.hear_all();
  EXPECT_TRUE(has(heard, "\r\n0\r\n\r\nHTTP/1.1 200 OK")) << heard;
  EXPECT_TRUE(heard.ends_with("|after"));
}

TEST_F(http_server, tells_when_the_peer_leaves_a_stream) {
  start();
  {
    raw_peer peer(socket_);
    peer.say("GET /forever HTTP/1.1\r\n\r\n");
    peer.hear_until("begun");
  }
  EXPECT_TRUE(left_.wait());
}

TEST_F(http_server, tells_when_the_peer_leaves_before_the_answer) {
  start();
  {
    raw_peer peer(socket_);
    peer.say("GET /silent HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(begun_.wait());
  }
  EXPECT_TRUE(left_.wait());
  held_->reply({.body = "too late, and harmless"});
}

TEST_F(http_server, gives_a_stream_up_whose_reader_is_too_slow) {
  limits_.unsent_bytes = 100'000;
  start();
  raw_peer peer(socket_);
  peer.say("GET /flood HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(left_.wait());
}

TEST_F(http_server, a_silent_stream_shows_that_it_is_alive) {
  limits_.heartbeat = std::chrono::milliseconds(20);
  start();
  raw_peer peer(socket_);
  peer.say("GET /forever HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(peer.hear_until(":\n\n").ends_with(":\n\n"));
}

TEST_F(http_server, a_handler_that_forgets_to_answer_is_an_internal_error) {
  start();
  const http_client client({.socket = socket_});
  for (const char* path : {"/dropped", "/throws"}) {
    const auto reply = client.request("GET", path);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 500) << path;
    EXPECT_TRUE(has(reply->body, "\"internal\"")) << reply->body;
  }
}

TEST_F(http_server, lets_a_running_answer_end_when_it_stops) {
  start();
  raw_peer idle(socket_), busy(socket_);
  idle.say(post("x"));
  idle.hear_until("|x");
  busy.say("GET /forever HTTP/1.1\r\n\r\n");
  busy.hear_until("begun");
  server_->drain();
  EXPECT_EQ(idle.hear_all(), "");  // closed at once
  EXPECT_FALSE(raw_peer(socket_).say("x") &&
               !raw_peer(socket_).hear_all().empty());
  held_->event("", "the end");
  held_->end();
  server_->stop(std::chrono::seconds(20));
  EXPECT_TRUE(has(busy.hear_all(), "the end"));
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(socket_));
}

TEST_F(http_server, an_answer_may_come_after_the_server_is_gone) {
  start();
  raw_peer peer(socket_);
  peer.say("GET /forever HTTP/1.1\r\n\r\n");
  peer.hear_until("begun");
  server_.reset();
  EXPECT_TRUE(left_.wait());
  held_->event("", "nobody hears");
  held_->end();
}

TEST_F(http_server, an_interrupt_ends_a_blocked_client) {
  start();
  std::array<int, 2> pipe;
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const http_client client({.socket = socket_, .interrupt = pipe[0]});
  const auto reply = client.stream("GET", "/forever", "", [&](server_event) {
    EXPECT_EQ(::write(pipe[1], "x", 1), 1);
    return true;
  });
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ec::cancelled);
  EXPECT_TRUE(left_.wait());
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(http_server, a_client_sees_a_refusal_of_a_body_it_is_still_sending) {
  start();
  const http_client client({.socket = socket_});
  const auto reply =
      client.request("POST", "/echo", std::string(3'000'000, 'x'));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 413);
}

TEST_F(http_server, a_client_without_a_server_says_so) {
  const http_client client({.socket = socket_});
  EXPECT_EQ(client.request("GET", "/").error().code, ec::not_found);
}

}  // namespace
}  // namespace t2
