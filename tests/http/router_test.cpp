#include "http/router.hpp"

#include <gtest/gtest.h>

#include "tests/http/recorded_exchange.hpp"

namespace t2 {
namespace {

using test::recorded_exchange;

/// A router whose answers say which pattern it was and what it caught.
router echo() {
  router routes;
  const auto add = [&](std::string method, std::string pattern,
                       std::size_t limit = 0) {
    routes.add(
        method, pattern,
        [method, pattern](http_request request,
                          std::shared_ptr<exchange> answer) {
          std::string said = method + " " + pattern;
          for (auto& [name, value] : request.capture) {
            said += " " + name + "=" + value;
          }
          for (auto& [name, value] : request.query) {
            said += " ?" + name + "=" + value;
          }
          answer->reply({.body = said});
        },
        limit);
  };
  add("GET", "/v1/tasks");
  add("POST", "/v1/tasks", 77);
  add("GET", "/v1/tasks/{name}");
  add("DELETE", "/v1/tasks/{name}");
  add("POST", "/v1/tasks/{name}/adapt");
  return routes;
}

http_reply ask(const std::string& method, const std::string& target) {
  const auto answer = std::make_shared<recorded_exchange>();
  echo().dispatch(target, {.method = method, .path = {}}, answer);
  return answer->whole_.value_or(http_reply{.status = 0});
}

TEST(router, finds_the_handler_by_method_and_path) {
  EXPECT_EQ(ask("GET", "/v1/tasks").body, "GET /v1/tasks");
  EXPECT_EQ(ask("POST", "/v1/tasks").body, "POST /v1/tasks");
  EXPECT_EQ(ask("POST", "/v1/tasks/sums/adapt").body,
            "POST /v1/tasks/{name}/adapt name=sums");
}

TEST(router, decodes_captured_segments_and_the_query) {
  EXPECT_EQ(ask("GET", "/v1/tasks/a%2Fb%20c?x=1%2B2&y=p+q&z").body,
            "GET /v1/tasks/{name} name=a/b c ?x=1+2 ?y=p q ?z=");
  EXPECT_EQ(ask("GET", "/v1/tasks/%41").body, "GET /v1/tasks/{name} name=A");
}

TEST(router, an_encoded_slash_does_not_reach_another_path) {
  EXPECT_EQ(ask("POST", "/v1/tasks/a%2Fadapt").status, 405);
}

TEST(router, refuses_unknown_paths) {
  EXPECT_EQ(ask("GET", "/v1/nothing").status, 404);
  EXPECT_EQ(ask("GET", "/v1/tasks/").status, 404);
  EXPECT_EQ(ask("GET", "/v1//tasks").status, 404);
  EXPECT_EQ(ask("GET", "/").status, 404);
  EXPECT_EQ(ask("GET", "/v1/tasks/a/b/c").status, 404);
}

TEST(router, names_the_methods_that_a_path_has) {
  const auto reply = ask("PUT", "/v1/tasks/sums");
  EXPECT_EQ(reply.status, 405);
  ASSERT_EQ(reply.headers.size(), 1u);
  EXPECT_EQ(reply.headers[0].first, "Allow");
  EXPECT_EQ(reply.headers[0].second, "GET, DELETE");
}

TEST(router, refuses_broken_escapes) {
  for (const char* target : {"/v1/tasks/%", "/v1/tasks/%4", "/v1/tasks/%zz",
                             "/v1/tasks/%00", "/v1/tasks?x=%f"}) {
    EXPECT_EQ(ask("GET", target).status, 400) << target;
  }
  EXPECT_EQ(ask("GET", "/v1/tasks?x=1&x=2").status, 400);
}

TEST(router, knows_what_a_route_is) {
  router routes = echo();
  const auto* found = routes.look_up("POST", "/v1/tasks?x=1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->pattern, "/v1/tasks");
  EXPECT_EQ(found->body_bytes, 77u);
  EXPECT_EQ(routes.look_up("GET", "/v1/tasks")->body_bytes, 0u);
  EXPECT_EQ(routes.look_up("POST", "/elsewhere"), nullptr);
}

TEST(router, a_route_is_for_administrators_unless_it_says_otherwise) {
  router routes = echo();
  EXPECT_EQ(routes.look_up("GET", "/v1/tasks")->scope, http_scope::administer);
  EXPECT_TRUE(routes.allow("GET", "/v1/tasks", http_scope::use));
  EXPECT_FALSE(routes.allow("GET", "/v1/task", http_scope::use));
  EXPECT_FALSE(routes.allow("PATCH", "/v1/tasks", http_scope::use));
  EXPECT_EQ(routes.look_up("GET", "/v1/tasks")->scope, http_scope::use);
  EXPECT_EQ(routes.look_up("POST", "/v1/tasks")->scope, http_scope::administer);
}

TEST(router, encoding_and_decoding_are_inverse_for_every_byte) {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const bool plus : {false, true}) {
    const auto back = decode_url(encode_url(all), plus);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, all);
  }
}

}  // namespace
}  // namespace t2
