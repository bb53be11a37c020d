// Prints documents of the demonstration as JSONL: a line {"prompt", "answer"}
// each, with an empty prompt.
//   demo_texts KIND SPLIT COUNT    e.g. demo_texts dialogue train 2000
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>

#include "demo/story_texts.hpp"

namespace {

using namespace t2::demo;

std::optional<kind> parse_kind(const char* text) {
  for (const auto k : {kind::dialogue, kind::list, kind::refrain, kind::call})
    if (to_string(k) == text) return k;
  return std::nullopt;
}

std::optional<split> parse_split(const char* text) {
  if (!std::strcmp(text, "train")) return split::train;
  if (!std::strcmp(text, "examples")) return split::examples;
  if (!std::strcmp(text, "held-out")) return split::held_out;
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  const bool counted =
      argc == 4 && std::from_chars(argv[3], argv[3] + std::strlen(argv[3]), count)
                           .ptr == argv[3] + std::strlen(argv[3]);
  const auto k = argc == 4 ? parse_kind(argv[1]) : std::nullopt;
  const auto s = argc == 4 ? parse_split(argv[2]) : std::nullopt;
  if (!k || !s || !counted || count == 0 || count > 1'000'000) {
    std::fprintf(stderr,
                 "usage: demo_texts dialogue|list|refrain|call "
                 "train|examples|held-out COUNT\n");
    return 2;
  }
  for (const auto& text : documents(*k, *s, count)) {
    std::string escaped;
    for (const char c : text) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    std::printf("{\"prompt\": \"\", \"answer\": \"%s\"}\n", escaped.c_str());
  }
}
