// Prints the corpus that the demonstration's base model is trained on, or
// examples of one of its families, as JSONL.
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "demo/corpus.hpp"

namespace {

using namespace t2::demo;

constexpr const char* usage =
    "usage: demo_corpus pretrain COUNT [--seed SEED]\n"
    "       demo_corpus FAMILY train|validation|test COUNT\n"
    "       demo_corpus labels train|validation|test COUNT\n"
    "  pretrain  conversations of careful and careless writers\n"
    "  FAMILY    math, code, reasoning, math-hard, code-doc,\n"
    "            reasoning-challenge, korean or routing: examples with\n"
    "            answers and rewards; the portions share no content\n"
    "  labels    queries of all families, whose answer is their class\n"
    "  COUNT     lines, 1 to 10000000\n"
    "  SEED      another corpus (default 0)\n";

int wrong(const std::string& what) {
  std::fprintf(stderr, "demo_corpus: %s\n%s", what.c_str(), usage);
  return 2;
}

template <class T>
bool number(std::string_view text, T& out) {
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, out);
  return read.ec == std::errc{} && read.ptr == end;
}

bool print(const std::string& line) {
  return std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
         std::putchar('\n') != EOF;
}

int finish(bool written) {
  if (written && std::fflush(stdout) == 0) return 0;
  std::perror("demo_corpus: writing");
  return 8;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h"))
    return std::fputs(usage, stdout) < 0 ? 8 : 0;
  if (words.empty()) return wrong("expected what to print, found nothing");
  const bool pretrain = words[0] == "pretrain";
  const auto f = parse_family(words[0]);
  const bool labels = words[0] == "labels";
  if (!pretrain && !labels && !f)
    return wrong("expected pretrain, labels or a family, found '" +
                 std::string{words[0]} + "'");

  std::uint64_t seed = 0;
  std::size_t expected = pretrain ? 2 : 3;
  if (pretrain && words.size() == 4 && words[2] == "--seed") {
    if (!number(words[3], seed))
      return wrong("expected a whole number after --seed, found '" +
                   std::string{words[3]} + "'");
    expected = 4;
  }
  if (words.size() != expected)
    return wrong("expected " + std::to_string(expected) + " arguments, found " +
                 std::to_string(words.size()));
  const auto counted = words[pretrain ? 1 : 2];
  std::size_t count = 0;
  if (!number(counted, count) || count == 0 || count > 10'000'000)
    return wrong("expected a COUNT of 1 to 10000000, found '" +
                 std::string{counted} + "'");

  bool written = true;
  if (pretrain) {
    for (std::size_t i = 0; i < count && written; ++i)
      written = print(pretraining_line(seed, i));
    return finish(written);
  }
  const auto p = parse_portion(words[1]);
  if (!p)
    return wrong("expected train, validation or test, found '" +
                 std::string{words[1]} + "'");
  if (labels) {
    const auto queries = labelled_queries(*p, count);
    for (std::size_t i = 0; i < queries.size() && written; ++i)
      written = print(labelled_line(*p, i + 1, queries[i]));
    return finish(written);
  }
  const auto found = problems(*f, *p, count);
  if (found.size() < count)
    return wrong("expected at most " + std::to_string(found.size()) +
                 " different problems of " + std::string{words[0]} +
                 ", found a COUNT of " + std::to_string(count));
  for (std::size_t i = 0; i < count && written; ++i)
    written = print(example_line(*f, *p, i + 1, found[i]));
  return finish(written);
}
