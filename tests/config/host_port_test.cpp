#include "config/host_port.hpp"

#include <gtest/gtest.h>

namespace t2 {
namespace {

TEST(host_port, comes_back_as_the_same_text) {
  for (const char* text : {"127.0.0.1:8080", "[::1]:0", "localhost:65535",
                           "[fe80::1%eth0]:80", "a-b.example:1"}) {
    const auto parsed = parse_host_port(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(print_host_port(*parsed), text);
  }
  EXPECT_EQ(parse_host_port("[::1]:9")->host, "::1");
}

TEST(host_port, says_what_it_expects) {
  for (const char* text :
       {"", "8080", ":8080", "localhost", "localhost:", "localhost:65536",
        "localhost:-1", "localhost:8x", "::1:80", "[]:80", "a b:80",
        "http://a:80", "[::1]80"}) {
    const auto parsed = parse_host_port(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ec::invalid_argument);
    EXPECT_NE(parsed.error().message.find("HOST:PORT"), std::string::npos);
  }
}

}  // namespace
}  // namespace t2
