#include "http/key_ring.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "config/byte_size.hpp"
#include "config/sha256.hpp"
#include "config/text_file.hpp"

namespace t2 {
namespace {

constexpr std::size_t shortest_key = 16;
constexpr std::size_t longest_name = 64;

std::array<std::byte, 32> digest_of(std::string_view key) {
  sha256 hash;
  hash.update(key);
  return hash.digest();
}

/// Looks at every byte of both.
bool equal(const std::array<std::byte, 32>& a,
           const std::array<std::byte, 32>& b) {
  volatile unsigned different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    different = different | std::to_integer<unsigned>(a[i] ^ b[i]);
  }
  return different == 0;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  constexpr std::string_view blank = " \t\r";
  for (;;) {
    const auto begin = line.find_first_not_of(blank);
    if (begin == std::string_view::npos || line[begin] == '#') return words;
    line.remove_prefix(begin);
    const auto end = std::min(line.find_first_of(blank), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

result<key_ring> key_ring::read(const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) == 0 && (found.st_mode & 077) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%03o", found.st_mode & 0777);
    return error{ec::invalid_argument,
                 file.string() +
                     ": expected keys that only their owner can read (mode "
                     "600), found mode " +
                     mode};
  }
  const auto text = read_text_file(file, mebibyte);
  if (!text) return text.error();
  return parse(*text, file.string());
}

result<key_ring> key_ring::parse(std::string_view text,
                                 const std::string& file) {
  key_ring ring;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto words = words_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty()) continue;
    const auto wrong = [&](const std::string& what) {
      return error{ec::invalid_argument,
                   file + ":" + std::to_string(number) + ": expected " + what};
    };
    // What was found may be a key: it is not repeated.
    if (words.size() != 3) {
      return wrong("a name, a scope and a key, found " +
                   std::to_string(words.size()) + " words");
    }
    entry made;
    made.caller.name = words[0];
    made.digest = digest_of(words[2]);
    if (!is_plain(words[0]) || words[0].size() > longest_name ||
        words[0].find_first_of("\"\\") != std::string_view::npos) {
      return wrong("a name of at most " + std::to_string(longest_name) +
                   " ASCII characters without quotes and backslashes");
    }
    if (words[0] == socket_caller || words[0] == loopback_caller) {
      return wrong("another name than '" + made.caller.name +
                   "', which stands for callers without a key");
    }
    if (words[1] == "use") {
      made.caller.scope = http_scope::use;
    } else if (words[1] == "metrics") {
      made.caller.scope = http_scope::metrics;
    } else if (words[1] == "administer") {
      made.caller.scope = http_scope::administer;
    } else {
      return wrong("the scope use, metrics or administer as the second word");
    }
    if (words[2].size() < shortest_key || !is_plain(words[2])) {
      return wrong("a key of at least " + std::to_string(shortest_key) +
                   " ASCII characters");
    }
    for (const entry& other : ring.entries_) {
      if (other.caller.name == made.caller.name) {
        return wrong("another name than '" + made.caller.name +
                     "', which is taken");
      }
      if (equal(other.digest, made.digest)) {
        return wrong("another key than that of '" + other.caller.name + "'");
      }
    }
    ring.entries_.push_back(std::move(made));
  }
  if (ring.entries_.empty()) {
    return error{ec::invalid_argument, file + ": expected keys, found none"};
  }
  return ring;
}

std::optional<http_caller> key_ring::find(std::string_view key) const {
  const auto digest = digest_of(key);
  const entry* found = nullptr;
  for (const entry& one : entries_) {
    const bool same = equal(one.digest, digest);
    found = same ? &one : found;
  }
  if (!found) return std::nullopt;
  return found->caller;
}

}  // namespace t2
