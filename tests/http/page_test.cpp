#include <gtest/gtest.h>

#include <string>

#include "http/api_routes.hpp"
#include "tests/http/recorded_exchange.hpp"

namespace t2 {
namespace {

http_reply page() {
  router routes;
  add_page_routes(routes);
  const auto heard = std::make_shared<test::recorded_exchange>();
  routes.dispatch("/", {.method = "GET", .path = {}}, heard);
  return heard->whole_.value_or(http_reply{.status = 0});
}

std::string header(const http_reply& reply, const std::string& name) {
  for (const auto& [key, value] : reply.headers) {
    if (key == name) return value;
  }
  return {};
}

TEST(page, is_html_whose_policy_lets_nothing_in_but_its_own) {
  const auto reply = page();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/html; charset=utf-8");
  const auto policy = header(reply, "Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  // Of 32 bytes: 43 digits and a sign of padding. Chromium checks the value.
  for (const std::string source : {"script-src 'sha256-", "style-src 'sha256-"}) {
    const auto begin = policy.find(source);
    ASSERT_NE(begin, std::string::npos) << policy;
    EXPECT_EQ(policy.find("='", begin), begin + source.size() + 43);
  }
}

TEST(page, asks_nobody_else_and_never_reads_text_as_html) {
  const auto body = page().body;
  for (const std::string what :
       {"src=", "@import", "innerHTML", "outerHTML", "insertAdjacentHTML",
        "document.write", "eval(", " style=", "onclick"}) {
    EXPECT_EQ(body.find(what), std::string::npos) << what;
  }
  // The name space of SVG is no address.
  EXPECT_EQ(body.find("http"), body.find("http://www.w3.org/2000/svg"));
  EXPECT_EQ(body.find("http:", body.find("http:") + 1), std::string::npos);
  EXPECT_EQ(body.find("https:"), std::string::npos);
}

}  // namespace
}  // namespace t2
