#include "http/discretion.hpp"

#include <gtest/gtest.h>

#include "http/error_form.hpp"

namespace t2 {
namespace {

TEST(discretion, cuts_paths_to_their_last_name) {
  const std::pair<const char*, const char*> cases[] = {
      {"/srv/t2/store.db: no table", "store.db: no table"},
      {"store /srv/t2/store.db: no table", "store store.db: no table"},
      {"cannot open '/a/b/c.json': gone", "cannot open 'c.json': gone"},
      {"(/a/b, /c/d.e)", "(b, d.e)"},
      {"path=/home/me/x", "path=x"},
      {"none at /a/b/.", "none at b."},
      {"folder /a/b/", "folder b"},
      {"/v1/embeddings: none embeds", "/v1/embeddings: none embeds"},
      {"tokens / second, and/or", "tokens / second, and/or"},
      {"expected application/json", "expected application/json"},
      {"model 'meta/llama'", "model 'meta/llama'"},
      {"/", "/"},
      {"", ""},
  };
  for (const auto& [said, told] : cases)
    EXPECT_EQ(without_folders(said), told) << said;
}

TEST(discretion, tells_administrators_everything_and_others_what_is_theirs) {
  const http_caller root{http_scope::administer, "root"};
  const http_caller user{http_scope::use, "user"};
  const auto message = [](const http_reply& reply) {
    return ordered_json::parse(reply.body)["error"]["message"]
        .get<std::string>();
  };
  for (const ec code : {ec::corrupt, ec::io, ec::internal}) {
    const auto failed = error_reply({code, "store /srv/t2/s.db: pages"});
    EXPECT_EQ(message(told_to(root, failed)), "store /srv/t2/s.db: pages");
    const auto told = told_to(user, failed);
    EXPECT_EQ(told.status, failed.status);
    EXPECT_EQ(message(told).find("s.db"), std::string::npos);
    EXPECT_NE(message(told).find(to_string(code)), std::string::npos);
  }
  for (const ec code : {ec::not_found, ec::incompatible, ec::unavailable,
                        ec::exhausted, ec::busy, ec::invalid_argument}) {
    const auto failed = error_reply({code, "store /srv/t2/s.db: full"});
    EXPECT_EQ(message(told_to(user, failed)), "store s.db: full");
  }
  // An answer is an answer.
  const http_reply fine{.body = R"({"error":{"message":"/a/b"}})"};
  EXPECT_EQ(told_to(user, fine).body, fine.body);
  const http_reply plain{.status = 500, .body = "no form"};
  EXPECT_EQ(told_to(user, plain).body, "no form");
}

}  // namespace
}  // namespace t2
