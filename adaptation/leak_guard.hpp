#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adaptation/example.hpp"
#include "config/result.hpp"

namespace t2 {

/// The prompts that an expert, a classifier or an adaptation has learned from,
/// chosen by or been searched on, as hashes. It travels with what it tells of,
/// and an evaluation on any of them is refused. A plain value.
class seen_prompts {
 public:
  void add(const example& e);
  void merge(const seen_prompts& other);
  bool contains(const example& e) const;
  /// How many of these both have seen.
  std::size_t shared_with(const seen_prompts& other) const;
  std::size_t size() const { return hashes_.size(); }
  bool empty() const { return hashes_.empty(); }

  /// Sixteen hexadecimal digits for each, ascending, without a break.
  std::string text() const;
  /// Of text(); nothing when it is none.
  static std::optional<seen_prompts> parse(std::string_view text);

  friend bool operator==(const seen_prompts&, const seen_prompts&) = default;

 private:
  std::vector<std::uint64_t> hashes_;  // ascending, no two equal
};

/// The first 64 bits of the SHA-256 of what is asked: a prompt, the contents
/// of messages, or the answer where nothing is asked (a text). Letter case of
/// ASCII and runs of white space do not count.
std::uint64_t prompt_hash(const example& e);

/// ec::incompatible names how many of the examples, and the first of them,
/// `owner` ("expert math@2") has seen.
result<void> refuse_seen(std::span<const example> examples,
                         const seen_prompts& seen, const std::string& owner);
/// The same of what chooses the best step of a training that learns from
/// `learnt`.
result<void> refuse_learnt(std::span<const example> validation,
                           const seen_prompts& learnt);

}  // namespace t2
