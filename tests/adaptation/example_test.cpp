#include "adaptation/example.hpp"

#include <gtest/gtest.h>

namespace t2 {
namespace {

TEST(examples, are_read_from_jsonl) {
  const auto read = parse_examples(
      "{\"id\":\"a\",\"prompt\":\"p\",\"answer\":\"x\"}\n\n"
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"answer\":\"B\","
      "\"reward\":\"choice\",\"choices\":[\"y\",\"z\"]}\n"
      "{\"text\":\"a tale\"}\n",
      "f");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 3u);
  EXPECT_EQ((*read)[0].prompt, "p");
  EXPECT_EQ((*read)[1].id, "line-3");
  EXPECT_EQ((*read)[1].messages[0].content, "hi");
  EXPECT_EQ((*read)[1].choices, (std::vector<std::string>{"y", "z"}));
  EXPECT_EQ((*read)[2].answer, "a tale");
  EXPECT_EQ((*read)[2].prompt, "");
}

TEST(examples, without_what_a_search_needs_are_refused_by_line) {
  for (const char* line :
       {R"({"prompt":"p"})", R"({"prompt":"p","answer":"a","choices":"b"})",
        R"({"prompt":"p","answer":"a","choices":[1]})",
        R"({"prompt":"p","answer":"a","tests":[1]})"}) {
    const auto read = parse_examples(line, "file");
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().message.find("file:1"), 0u) << line;
  }
  EXPECT_FALSE(parse_examples("{\"id\":\"a\",\"text\":\"x\"}\n"
                              "{\"id\":\"a\",\"text\":\"y\"}",
                              "f"));
}

TEST(examples, come_back_from_the_store) {
  const example plain{.id = "1", .prompt = "p", .answer = "a"};
  const example chat{.id = "2",
                     .messages = {{"user", "hi"}},
                     .answer = "B",
                     .choices = {"x", "y"},
                     .reward = "choice"};
  const example judged{.id = "3",
                       .prompt = "p",
                       .answer = "a",
                       .pattern = "^a$",
                       .tests = "assert f() == 1\n",
                       .entry_point = "f"};
  for (const example& e : {plain, chat, judged}) {
    const auto back = from_record(to_record(e));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(to_line(*back), to_line(e));
    EXPECT_EQ(back->tests, e.tests);
  }
  store_example broken = to_record(plain);
  broken.extra_json = "[]";
  EXPECT_FALSE(from_record(broken));
}

}  // namespace
}  // namespace t2
