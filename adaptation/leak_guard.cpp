#include "adaptation/leak_guard.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "config/sha256.hpp"

namespace t2 {
namespace {

constexpr std::size_t digits = 16;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' ||
         c == '\v';
}

/// Appends words in lower case with one space before each.
void append_normalised(std::string& out, std::string_view text) {
  bool apart = true;
  for (char c : text) {
    if (is_space(c)) {
      apart = true;
      continue;
    }
    if (apart) out += ' ';
    apart = false;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
}

std::string normalised(const example& e) {
  std::string text;
  if (e.messages.empty()) {
    append_normalised(text, e.prompt);
  } else {
    for (const chat_message& m : e.messages) append_normalised(text, m.content);
  }
  if (text.empty()) append_normalised(text, e.answer);
  return text;
}

/// "3 of 20 that it has (a, b, c)"; empty: none.
std::string those_seen(std::span<const example> examples,
                       const seen_prompts& seen) {
  std::size_t count = 0;
  std::string first;
  for (const example& e : examples)
    if (seen.contains(e)) {
      if (count < 3) first += (count ? ", " : "") + e.id;
      ++count;
    }
  if (count == 0) return {};
  return std::to_string(count) + " of " + std::to_string(examples.size()) +
         " that it has (" + first + (count > 3 ? ", …)" : ")");
}

}  // namespace

std::uint64_t prompt_hash(const example& e) {
  sha256 hash;
  hash.update(normalised(e));
  const auto digest = hash.digest();
  std::uint64_t first = 0;
  for (std::size_t i = 0; i < sizeof first; ++i)
    first = first << 8 | std::to_integer<std::uint64_t>(digest[i]);
  return first;
}

void seen_prompts::add(const example& e) {
  const std::uint64_t hash = prompt_hash(e);
  const auto at = std::ranges::lower_bound(hashes_, hash);
  if (at == hashes_.end() || *at != hash) hashes_.insert(at, hash);
}

void seen_prompts::merge(const seen_prompts& other) {
  std::vector<std::uint64_t> both;
  std::ranges::set_union(hashes_, other.hashes_, std::back_inserter(both));
  hashes_ = std::move(both);
}

bool seen_prompts::contains(const example& e) const {
  return std::ranges::binary_search(hashes_, prompt_hash(e));
}

std::size_t seen_prompts::shared_with(const seen_prompts& other) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(hashes_, [&](std::uint64_t hash) {
        return std::ranges::binary_search(other.hashes_, hash);
      }));
}

std::string seen_prompts::text() const {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  out.reserve(digits * hashes_.size());
  for (const std::uint64_t hash : hashes_)
    for (int shift = 60; shift >= 0; shift -= 4)
      out += hex[hash >> shift & 15];
  return out;
}

std::optional<seen_prompts> seen_prompts::parse(std::string_view text) {
  if (text.size() % digits != 0) return std::nullopt;
  seen_prompts out;
  for (; !text.empty(); text.remove_prefix(digits)) {
    std::uint64_t hash = 0;
    const char* end = text.data() + digits;
    const auto read = std::from_chars(text.data(), end, hash, 16);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    if (!out.hashes_.empty() && out.hashes_.back() >= hash)
      return std::nullopt;
    out.hashes_.push_back(hash);
  }
  return out;
}

result<void> refuse_seen(std::span<const example> examples,
                         const seen_prompts& seen, const std::string& owner) {
  const std::string found = those_seen(examples, seen);
  if (found.empty()) return {};
  return error{ec::incompatible, "evaluation: expected prompts that " + owner +
                                     " has not seen, found " + found};
}

result<void> refuse_learnt(std::span<const example> validation,
                           const seen_prompts& learnt) {
  const std::string found = those_seen(validation, learnt);
  if (found.empty()) return {};
  return error{ec::incompatible,
               "validation_data: expected prompts that the data does not have, "
               "found " +
                   found};
}

}  // namespace t2
