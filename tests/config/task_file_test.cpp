#include "config/task_file.hpp"

#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "tests/config/scratch_folder.hpp"

namespace t2 {
namespace {

using test::scratch_folder;

result<std::vector<task_line>> read(const std::string& text,
                                    const task_file_limits& limits = {}) {
  const scratch_folder folder;
  return read_task_file(folder.write("tasks.jsonl", text), limits);
}

/// The message after the name of the folder.
std::string message_of(const result<std::vector<task_line>>& lines) {
  if (lines) return "no error";
  const auto& message = lines.error().message;
  return message.substr(message.find("tasks.jsonl"));
}

TEST(task_file, reads_prompts_and_conversations) {
  const auto lines = read(
      "{\"id\": \"a\", \"prompt\": \"2+2?\", \"answer\": \"4\", "
      "\"reward\": \"numeric\", \"task\": \"sums\"}\n"
      "{\"id\": 7, \"messages\": [{\"role\": \"system\", \"content\": \"Hi\"},"
      "{\"role\": \"user\", \"content\": \"Grüße\"}], \"answer\": 42}\n"
      "{\"text\": \"Once upon a time\"}\n");
  ASSERT_TRUE(lines) << message_of(lines);
  ASSERT_EQ(lines->size(), 3u);
  EXPECT_EQ((*lines)[0], (task_line{.id = "a",
                                    .prompt = "2+2?",
                                    .answer = "4",
                                    .task = "sums",
                                    .reward = "numeric"}));
  EXPECT_EQ((*lines)[1],
            (task_line{.id = "7",
                       .prompt = std::vector<chat_message>{{"system", "Hi"},
                                                           {"user", "Grüße"}},
                       .answer = "42"}));
  EXPECT_EQ(
      (*lines)[2],
      (task_line{.id = "line-3", .prompt = "", .answer = "Once upon a time"}));
}

TEST(task_file, keeps_the_fields_it_does_not_know) {
  const auto lines =
      read(R"({"prompt": "p", "choices": ["A", "B"], "level": {"n": 2}})");
  ASSERT_TRUE(lines) << message_of(lines);
  EXPECT_EQ(
      (*lines)[0].extra,
      nlohmann::json::parse(R"({"choices": ["A", "B"], "level": {"n": 2}})"));
}

TEST(task_file, numbers_lines_as_an_editor_does) {
  const auto lines = read(
      "\xef\xbb\xbf\r\n{\"prompt\": \"a\"}\r\n  \t\n\n{\"prompt\": \"b\"}");
  ASSERT_TRUE(lines) << message_of(lines);
  ASSERT_EQ(lines->size(), 2u);
  EXPECT_EQ((*lines)[0].id, "line-2");
  EXPECT_EQ((*lines)[1].id, "line-5");
}

TEST(task_file, what_it_writes_it_reads_back) {
  std::mt19937 random(5);
  const auto text = [&] {
    static const std::vector<std::string> parts{"a",  "\n", "\"", "\\", "é",
                                                "漢", "\t", "{",  "🙂"};
    std::string out = "x";
    for (auto n = random() % 8; n > 0; --n) out += parts[random() % 9];
    return out;
  };
  for (int i = 0; i < 500; ++i) {
    task_line line{.id = "line " + std::to_string(i)};
    if (i % 2 == 0) {
      line.prompt = text();
    } else {
      line.prompt =
          std::vector<chat_message>{{"user", text()}, {"assistant", text()}};
    }
    if (random() % 2 == 0) line.answer = text();
    if (random() % 2 == 0) line.task = "task";
    if (random() % 2 == 0) line.reward = "exact";
    if (random() % 2 == 0) line.extra["choices"] = {text(), text()};
    const auto read_back = parse_task_line(
        nlohmann::json::parse(to_json(line).dump()), "here", "none");
    ASSERT_TRUE(read_back) << read_back.error().message;
    ASSERT_EQ(*read_back, line);
  }
}

struct bad_line {
  std::string text;
  std::string message;
};

class bad_lines : public testing::TestWithParam<bad_line> {};

TEST_P(bad_lines, name_line_expected_and_found) {
  const auto lines = read("{\"prompt\": \"fine\", \"id\": \"one\"}\n" +
                          GetParam().text + "\n");
  ASSERT_FALSE(lines);
  EXPECT_EQ(lines.error().code, ec::invalid_argument);
  EXPECT_EQ(message_of(lines), "tasks.jsonl:2: " + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    task_file, bad_lines,
    testing::Values(
        bad_line{"[1]", "expected an object, found an array"},
        bad_line{"{}", "expected one of prompt, messages and text, found none"},
        bad_line{R"({"prompt": null})",
                 "expected one of prompt, messages and text, found none"},
        bad_line{R"({"prompt": "a", "messages": []})",
                 "expected one of prompt, messages and text, found prompt and "
                 "messages"},
        bad_line{R"({"prompt": 3})",
                 "prompt: expected a string, found a number"},
        bad_line{R"({"prompt": ""})",
                 "expected a prompt or an answer with text, found neither"},
        bad_line{R"({"text": "a", "answer": "b"})",
                 "expected text alone, found text and answer"},
        bad_line{R"({"prompt": "a", "answer": ["b"]})",
                 "answer: expected a string or number, found an array"},
        bad_line{R"({"prompt": "a", "id": ""})",
                 "id: expected 1 to 256 bytes without control characters, "
                 "found 0 bytes"},
        bad_line{R"({"prompt": "a", "id": "a\u0000b"})",
                 "id: expected 1 to 256 bytes without control characters, "
                 "found a control character"},
        bad_line{R"({"prompt": "a", "id": "one"})",
                 "id: expected an id of its own, found 'one' of line 1"},
        bad_line{R"({"prompt": "a", "reward": 1})",
                 "reward: expected a string, found a number"},
        bad_line{R"({"messages": []})",
                 "messages: expected an array of messages, found an empty one"},
        bad_line{R"({"messages": ["hi"]})",
                 "messages[0]: expected an object, found a string"},
        bad_line{R"({"messages": [{"role": "user"}]})",
                 "messages[0]: expected role and content, found no content"},
        bad_line{R"({"messages": [{"role": "user", "content": 1}]})",
                 "messages[0].content: expected a string, found a number"},
        bad_line{R"({"messages": [{"role": "king", "content": "a"}]})",
                 "messages[0].role: expected system, user, assistant or tool, "
                 "found 'king'"},
        bad_line{R"({"messages": [{"role":"user","content":"a","name":"b"}]})",
                 "messages[0]: expected role and content, found 'name'"}));

TEST(task_file, broken_json_names_its_line) {
  for (const char* text :
       {"{\"prompt\": }", "{\"prompt\": \"a\"", "{\"prompt\": \"\xff\"}",
        "{\"prompt\": \"\xed\xa0\x80\"}", "{\"prompt\": \"a\"} {}", "nul",
        "{\"prompt\": 1e999999}"}) {
    const auto lines = read(std::string("{\"prompt\": \"fine\"}\n") + text);
    ASSERT_FALSE(lines) << text;
    EXPECT_TRUE(message_of(lines).starts_with("tasks.jsonl:2: expected JSON"))
        << message_of(lines);
    EXPECT_EQ(message_of(lines).find('\n'), std::string::npos);
  }
}

TEST(task_file, a_default_id_must_not_meet_a_given_one) {
  EXPECT_EQ(message_of(read("{\"prompt\": \"a\", \"id\": \"line-2\"}\n"
                            "{\"prompt\": \"b\"}\n")),
            "tasks.jsonl:2: id: expected an id of its own, found 'line-2' of "
            "line 1");
}

TEST(task_file, an_empty_or_missing_file_is_an_error) {
  EXPECT_EQ(message_of(read("\n\n")),
            "tasks.jsonl: expected at least one line, found none");
  const auto missing = read_task_file("/no/such.jsonl");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ec::not_found);
  const scratch_folder folder;
  const auto directory = read_task_file(folder.path());
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ec::io);
}

TEST(task_file, limits_lines_and_their_length) {
  const std::string three =
      "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}";
  EXPECT_TRUE(read(three, {.lines = 3}));
  const auto too_many = read(three, {.lines = 2});
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code, ec::exhausted);
  const std::string line = "{\"text\":\"abcdefghij\"}";
  EXPECT_TRUE(read(line, {.line = {.bytes = line.size()}}));
  const auto too_long = read(line, {.line = {.bytes = line.size() - 1}});
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ec::exhausted);
  EXPECT_EQ(message_of(too_long),
            "tasks.jsonl:1: expected a line of at most 20"
            ", found a longer one");
}

TEST(jsonl, deep_nesting_is_refused_before_it_is_built) {
  const std::string deep(1'000'000, '[');
  const auto parsed = parse_json(deep);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message,
            "expected JSON nested at most 64 deep, found 1000000");
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(parse_json(nested(64)));
  EXPECT_FALSE(parse_json(nested(65)));
  // Brackets in strings do not nest.
  EXPECT_TRUE(parse_json("\"\\\"" + deep + "\""));
}

TEST(jsonl, reads_a_stream_line_by_line_and_stops_at_an_error) {
  jsonl_reader reader(std::make_unique<std::istringstream>("1\n\n[2]\nx\n3\n"),
                      "stream");
  const auto first = reader.next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->value, 1);
  const auto second = reader.next();
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->number, 3u);
  const auto third = reader.next();
  ASSERT_FALSE(third);
  EXPECT_TRUE(third.error().message.starts_with("stream:4: expected JSON"));
  const auto end = reader.next();
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

TEST(jsonl, a_long_line_is_refused_without_reading_it_all) {
  /// Endless: only a reader that stops by itself comes to an end.
  struct endless : std::streambuf {
    char c = 'x';
    int_type underflow() override {
      setg(&c, &c, &c + 1);
      return traits_type::to_int_type(c);
    }
  };
  struct endless_stream : std::istream {
    endless_stream() : std::istream(nullptr) { rdbuf(&buffer); }
    endless buffer;
  };
  jsonl_reader reader(std::make_unique<endless_stream>(), "endless",
                      {.bytes = 1000});
  const auto next = reader.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().message,
            "endless:1: expected a line of at most 1000, found a longer one");
}

}  // namespace
}  // namespace t2
