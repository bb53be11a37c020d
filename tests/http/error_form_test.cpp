#include "http/error_form.hpp"

#include <gtest/gtest.h>

#include <set>

namespace t2 {
namespace {

const std::vector<ec> failures = {
    ec::invalid_argument, ec::not_found, ec::already_exists, ec::corrupt,
    ec::incompatible,     ec::io,        ec::busy,           ec::cancelled,
    ec::deadline,         ec::exhausted, ec::unavailable,    ec::internal};

TEST(error_form, comes_back_as_the_same_error) {
  for (const ec code : failures) {
    const auto reply = error_reply({code, "a \"quoted\" message"});
    EXPECT_GE(reply.status, 400);
    const error back = error_from_form(reply.status, reply.body);
    EXPECT_EQ(back.code, code);
    EXPECT_EQ(back.message, "a \"quoted\" message");
  }
}

TEST(error_form, has_openais_shape) {
  EXPECT_EQ(dump_json(error_form({ec::not_found, "no task 'x'"})),
            R"({"error":{"message":"no task 'x'",)"
            R"("type":"invalid_request_error","param":null,"code":"not_found"}})");
  EXPECT_EQ(error_form({ec::io, "x"})["error"]["type"], "server_error");
  EXPECT_EQ(error_form({ec::busy, "x"})["error"]["type"], "rate_limit_error");
}

TEST(error_form, says_in_openais_words_that_there_is_no_such_model) {
  const auto reply = model_error({ec::not_found, "no task 'x'"});
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.body, R"({"error":{"message":"no task 'x'",)"
                        R"("type":"invalid_request_error","param":"model",)"
                        R"("code":"model_not_found"}})");
  const error back = error_from_form(reply.status, reply.body);
  EXPECT_EQ(back.code, ec::not_found);
  EXPECT_EQ(back.message, "no task 'x'");
}

TEST(error_form, asks_to_come_back_where_that_helps) {
  EXPECT_EQ(error_reply({ec::busy, ""}).status, 429);
  EXPECT_EQ(error_reply({ec::unavailable, ""}).status, 503);
  for (const ec code : {ec::busy, ec::unavailable}) {
    EXPECT_EQ(error_reply({code, ""}).headers.at(0).first, "Retry-After");
  }
  EXPECT_TRUE(error_reply({ec::not_found, ""}).headers.empty());
}

TEST(error_form, what_is_none_is_an_internal_error) {
  for (const char* body : {"", "<html>", "{}", R"({"error":1})",
                           R"({"error":{"code":"x","message":"y"}})"}) {
    EXPECT_EQ(error_from_form(502, body).code, ec::internal) << body;
  }
}

}  // namespace
}  // namespace t2
