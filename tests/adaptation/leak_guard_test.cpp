#include "adaptation/leak_guard.hpp"

#include <gtest/gtest.h>

#include "config/sha256.hpp"

namespace t2 {
namespace {

example asking(std::string prompt, std::string id = "a") {
  example e;
  e.id = std::move(id);
  e.prompt = std::move(prompt);
  e.answer = "42";
  return e;
}

TEST(prompt_hash, is_the_first_quarter_of_sha_256) {
  // The definition in docs/formats.md, by another road: a space before each
  // word, lower case.
  const std::string hex = sha256_hex(std::string_view{" what is 6 x 7?"});
  seen_prompts seen;
  seen.add(asking("What is  6 x 7?"));
  EXPECT_EQ(seen.text(), hex.substr(0, 16));
}

TEST(prompt_hash, does_not_see_case_space_or_the_form_of_the_question) {
  const auto hash = prompt_hash(asking("What is 6 x 7?"));
  EXPECT_EQ(prompt_hash(asking("\n what\tIS 6  x 7? ")), hash);
  example chat = asking("");
  chat.messages = {{"user", "What is 6 x 7?"}};
  EXPECT_EQ(prompt_hash(chat), hash);
  example other_answer = asking("What is 6 x 7?");
  other_answer.answer = "41";
  EXPECT_EQ(prompt_hash(other_answer), hash);
  EXPECT_NE(prompt_hash(asking("What is 6 x 8?")), hash);
  EXPECT_NE(prompt_hash(asking("What is 6x 7?")), hash);
}

TEST(prompt_hash, of_a_text_without_a_question_is_the_texts) {
  example tale = asking("");
  tale.answer = "Once upon a time";
  example other = asking("");
  other.answer = "Once upon a hill";
  EXPECT_NE(prompt_hash(tale), prompt_hash(other));
}

TEST(seen_prompts, read_back_what_they_wrote) {
  seen_prompts seen;
  for (int i = 0; i < 100; ++i) seen.add(asking(std::to_string(i * 7 % 50)));
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_EQ(seen.text().size(), 800u);
  const auto read = seen_prompts::parse(seen.text());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, seen);
  for (int i = 0; i < 50; ++i)
    EXPECT_TRUE(read->contains(asking(std::to_string(i)))) << i;
  EXPECT_FALSE(read->contains(asking("50")));
}

TEST(seen_prompts, merge_to_what_either_has_seen) {
  seen_prompts all, even, odd;
  for (int i = 0; i < 20; ++i) {
    all.add(asking(std::to_string(i)));
    (i % 2 ? odd : even).add(asking(std::to_string(i)));
  }
  EXPECT_EQ(even.shared_with(odd), 0u);
  EXPECT_EQ(all.shared_with(odd), 10u);
  even.add(asking("1"));
  EXPECT_EQ(even.shared_with(odd), 1u);
  even.merge(odd);
  EXPECT_EQ(even, all);
}

TEST(seen_prompts, refuse_a_text_that_is_none) {
  for (const char* bad : {"0", "000000000000000g", "00000000000000000",
                          "00000000000000020000000000000001",
                          "00000000000000010000000000000001",
                          "-000000000000001"})
    EXPECT_FALSE(seen_prompts::parse(bad)) << bad;
  EXPECT_TRUE(seen_prompts::parse(""));
}

TEST(refuse_seen, names_how_many_and_which) {
  seen_prompts seen;
  for (const char* p : {"a", "b", "c", "d"}) seen.add(asking(p));
  const std::vector<example> fresh{asking("x", "1"), asking("y", "2")};
  EXPECT_TRUE(refuse_seen(fresh, seen, "expert math@2"));
  const std::vector<example> leaking{asking("x", "1"), asking("D", "2")};
  const auto refused = refuse_seen(leaking, seen, "expert math@2");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::incompatible);
  EXPECT_EQ(refused.error().message,
            "evaluation: expected prompts that expert math@2 has not seen, "
            "found 1 of 2 that it has (2)");
}

}  // namespace
}  // namespace t2
