#include "http/object_reader.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

namespace t2 {
namespace {

struct form {
  std::string name = "none";
  std::int64_t steps = 5;
  double rate = 0.5;
  bool fast = false;
  std::uint64_t seed = 1;
  std::vector<std::string> words;
};

std::string read(const std::string& text, form* out = nullptr) {
  const auto value = nlohmann::json::parse(text);
  object_reader in(value, "body");
  form into;
  in.require("name").read("name", into.name, 8);
  in.read("steps", into.steps, 1, 10);
  in.read("rate", into.rate, 0, 1);
  in.read("fast", into.fast);
  in.read("seed", into.seed);
  in.read("words", into.words, 2);
  const auto done = in.finish();
  if (out) *out = into;
  return done ? "" : done.error().message;
}

TEST(object_reader, reads_what_is_there_and_leaves_the_rest) {
  form got;
  EXPECT_EQ(read(R"({"name":"x","rate":1,"seed":18446744073709551615,
                     "fast":null,"words":["a","b"]})",
                 &got),
            "");
  EXPECT_EQ(got.name, "x");
  EXPECT_EQ(got.steps, 5);
  EXPECT_EQ(got.rate, 1.0);
  EXPECT_EQ(got.seed, 18446744073709551615u);
  EXPECT_EQ(got.words, (std::vector<std::string>{"a", "b"}));
}

TEST(object_reader, says_where_what_was_expected_and_found) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[1]", "body: expected an object, found a list"},
      {"{}", "body.name: expected a value, found none"},
      {R"({"name":1})", "body.name: expected a text, found 1"},
      {R"({"name":"123456789"})",
       "body.name: expected at most 8 bytes, found 9"},
      {R"({"name":"x","steps":0})",
       "body.steps: expected a whole number from 1 to 10, found 0"},
      {R"({"name":"x","steps":11})",
       "body.steps: expected a whole number from 1 to 10, found 11"},
      {R"({"name":"x","steps":1.5})",
       "body.steps: expected a whole number from 1 to 10, found 1.5"},
      {R"({"name":"x","steps":18446744073709551615})",
       "body.steps: expected a whole number from 1 to 10, found "
       "18446744073709551615"},
      {R"({"name":"x","rate":"fast"})",
       "body.rate: expected a number from 0 to 1, found \"fast\""},
      {R"({"name":"x","rate":1.01})",
       "body.rate: expected a number from 0 to 1, found 1.01"},
      {R"({"name":"x","fast":1})",
       "body.fast: expected true or false, found 1"},
      {R"({"name":"x","seed":-1})",
       "body.seed: expected a whole number from 0, found -1"},
      {R"({"name":"x","words":["a",1]})",
       "body.words: expected a list of at most 2 texts, found a list"},
      {R"({"name":"x","words":["a","b","c"]})",
       "body.words: expected a list of at most 2 texts, found a list"},
      {R"({"name":"x","stesp":3})",
       "body: unknown member 'stesp', did you mean 'steps'?"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(read(text), message);
}

TEST(object_reader, keeps_the_first_error) {
  EXPECT_EQ(read(R"({"name":1,"steps":99,"zzz":0})"),
            "body.name: expected a text, found 1");
}

}  // namespace
}  // namespace t2
