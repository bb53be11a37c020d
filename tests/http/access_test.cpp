#include "http/access.hpp"

#include <gtest/gtest.h>

namespace t2 {
namespace {

constexpr peer_origin on_unix{.unix_socket = true};
constexpr peer_origin near{.loopback = true};
constexpr peer_origin far{};
constexpr auto open_to_all = http_scope::open;
constexpr auto use = http_scope::use;
constexpr auto administer = http_scope::administer;

access_rules with_keys(bool remotely = false) {
  auto ring = key_ring::parse(
      "root administer root-0123456789ab\nuser use user-0123456789ab\n"
      "graph metrics graph-0123456789ab\n",
      "");
  return {.keys = std::make_shared<const key_ring>(*std::move(ring)),
          .administer_remotely = remotely};
}

/// The status of the refusal, 200 where there is none.
int status(const access_verdict& verdict) {
  return verdict.refusal ? verdict.refusal->status : 200;
}

TEST(access, the_unix_socket_may_do_everything) {
  for (const auto& rules : {access_rules{}, with_keys()}) {
    const auto verdict = judge(rules, on_unix, {}, administer);
    EXPECT_EQ(status(verdict), 200);
    EXPECT_EQ(verdict.caller.scope, administer);
    EXPECT_EQ(verdict.caller.name, "socket");
  }
}

TEST(access, without_keys_this_machine_may_do_everything_and_others_nothing) {
  const request_claims claims{.host = "localhost:80"};
  EXPECT_EQ(judge({}, near, claims, administer).caller.scope, administer);
  for (const auto scope : {open_to_all, use, administer}) {
    EXPECT_EQ(status(judge({}, near, claims, scope)), 200);
    EXPECT_EQ(status(judge({}, far, claims, scope)), 403);
  }
}

TEST(access, without_keys_a_host_that_is_not_this_machine_is_refused) {
  for (const char* host : {"localhost", "LocalHost:8080", "127.0.0.1:1",
                           "127.1.2.3", "[::1]:80", "[::1]"}) {
    EXPECT_EQ(status(judge({}, near, {.host = host}, use)), 200) << host;
  }
  for (const char* host :
       {"", "evil.example", "evil.example:80", "localhost.evil.example",
        "127.0.0.1.evil.example", "127.evil.example", "10.0.0.1", "[::2]:80",
        "[::1.evil]", "0.0.0.0:80"}) {
    EXPECT_EQ(status(judge({}, near, {.host = host}, use)), 403) << host;
    EXPECT_EQ(status(judge({}, near, {.host = host}, open_to_all)), 403);
  }
}

TEST(access, without_keys_a_page_of_another_origin_is_refused) {
  const auto from = [](const char* origin) {
    return status(judge({}, near,
                        {.host = "localhost:8080", .origin = origin}, use));
  };
  EXPECT_EQ(from(""), 200);
  EXPECT_EQ(from("http://localhost:8080"), 200);
  EXPECT_EQ(from("https://LOCALHOST:8080"), 200);
  for (const char* origin :
       {"null", "http://evil.example", "http://localhost:3000",
        "http://localhost", "http://127.0.0.1:8080", "file://",
        "chrome-extension://x", "localhost:8080"}) {
    EXPECT_EQ(from(origin), 403) << origin;
  }
}

TEST(access, with_keys_a_key_is_needed_for_all_but_open_routes) {
  const auto rules = with_keys();
  for (const peer_origin& from : {near, far}) {
    for (const char* said : {"", "Bearer", "Bearer ", "Basic cm9vdA==",
                             "Bearer wrong-0123456789", "root-0123456789ab"}) {
      const request_claims claims{.authorization = said};
      EXPECT_EQ(status(judge(rules, from, claims, open_to_all)), 200) << said;
      const auto verdict = judge(rules, from, claims, use);
      ASSERT_EQ(status(verdict), 401) << said;
      const auto& headers = verdict.refusal->headers;
      ASSERT_EQ(headers.size(), 1u);
      EXPECT_EQ(headers[0].first, "WWW-Authenticate");
      EXPECT_NE(verdict.refusal->body.find(R"("code":"invalid_api_key")"),
                std::string::npos);
    }
  }
}

TEST(access, a_key_may_do_what_its_scope_says) {
  const auto rules = with_keys();
  const request_claims user{.authorization = "bearer user-0123456789ab"};
  const request_claims root{.authorization = "Bearer root-0123456789ab"};
  EXPECT_EQ(status(judge(rules, near, user, use)), 200);
  EXPECT_EQ(status(judge(rules, near, user, administer)), 403);
  EXPECT_EQ(status(judge(rules, near, root, administer)), 200);
  EXPECT_EQ(judge(rules, near, root, use).caller.name, "root");
}

TEST(access, administration_from_other_machines_is_off_unless_it_is_asked_for) {
  const request_claims root{.authorization = "Bearer root-0123456789ab"};
  EXPECT_EQ(status(judge(with_keys(), far, root, administer)), 403);
  EXPECT_EQ(status(judge(with_keys(), far, root, use)), 200);
  EXPECT_EQ(judge(with_keys(), far, root, use).caller.scope, use);
  EXPECT_EQ(status(judge(with_keys(true), far, root, administer)), 200);
}

TEST(access, what_is_counted_of_all_is_not_for_those_who_use) {
  const auto may = [](const char* key, const peer_origin& from,
                      http_scope needed) {
    return status(judge(with_keys(), from, {.authorization = key}, needed)) ==
           200;
  };
  const char* user = "Bearer user-0123456789ab";
  const char* graph = "Bearer graph-0123456789ab";
  const char* root = "Bearer root-0123456789ab";
  constexpr auto metrics = http_scope::metrics;
  EXPECT_FALSE(may(user, near, metrics));
  EXPECT_FALSE(may("", near, metrics));
  EXPECT_TRUE(may(root, near, metrics));
  for (const peer_origin& from : {near, far}) {
    EXPECT_TRUE(may(graph, from, metrics));
    EXPECT_TRUE(may(graph, from, open_to_all));
    EXPECT_FALSE(may(graph, from, use));
    EXPECT_FALSE(may(graph, from, administer));
  }
  EXPECT_FALSE(may(root, far, metrics)) << "it is a key to use from there";
  EXPECT_EQ(status(judge({}, near, {.host = "localhost"}, metrics)), 200);
  EXPECT_EQ(status(judge(with_keys(), on_unix, {}, metrics)), 200);
}

TEST(access, a_refusal_has_openais_shape) {
  const auto refused = judge({}, far, {}, use);
  EXPECT_EQ(refused.refusal->body,
            R"({"error":{"message":"without server.keys only this machine )"
            R"(may ask","type":"invalid_request_error",)"
            R"("code":"permission_denied"}})");
}

}  // namespace
}  // namespace t2
