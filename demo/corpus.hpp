#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "demo/problem.hpp"

namespace t2::demo {

/// Kinds of questions. math, code and reasoning are what experts are grown on;
/// math-hard (and korean), code-doc and reasoning-challenge are their
/// relatives, which no expert sees; routing asks for the class of a question.
enum class family : std::uint8_t {
  math,
  code,
  reasoning,
  math_hard,
  code_doc,
  reasoning_challenge,
  korean,
  routing
};
inline constexpr std::array<family, 8> families{
    family::math,      family::code,     family::reasoning,
    family::math_hard, family::code_doc, family::reasoning_challenge,
    family::korean,    family::routing};

/// "math-hard".
std::string_view to_string(family f);
std::optional<family> parse_family(std::string_view name);

/// A problem belongs to the portion that the hash of its content names, so
/// that no content (not only no wording) is in two of them. Pretraining sees
/// train alone. Of 8 contents, 6 are train and one each validation and test.
enum class portion : std::uint8_t { train, validation, test };
std::string_view to_string(portion p);
std::optional<portion> parse_portion(std::string_view name);
portion portion_of(const problem& p);

/// A problem of the family in the portion: a draw of its own for each index.
problem problem_of(family f, portion p, std::uint64_t index);
std::string_view reward_of(family f);

/// The first `count` problems with different prompts, fewer if the family does
/// not have as many.
std::vector<problem> problems(family f, portion p, std::size_t count);

/// A query and its class ("code", "math", "reasoning", "other"), of families and
/// their relatives; small talk is "other" and is in no portion. The first
/// `count` with different prompts.
struct labelled_query {
  std::string prompt, label;
};
std::vector<labelled_query> labelled_queries(portion p, std::size_t count);
/// As a line of examples for t2 expert train --classify and t2 route.
std::string labelled_line(portion p, std::size_t number,
                          const labelled_query& what);

/// The problem as a line of examples (docs/formats.md), without a newline.
std::string example_line(family f, portion p, std::size_t number,
                         const problem& what);

/// A document of the pretraining corpus: a conversation with one writer.
enum class topic : std::uint8_t { math, code, reasoning, routing, small_talk };
struct conversation {
  topic about{};
  writer by{};
  struct turn {
    std::optional<family> from;  // nothing: small talk
    problem asked;
    std::string answer;
  };
  std::vector<turn> turns{};
};
conversation pretraining_conversation(std::uint64_t seed, std::uint64_t index);

/// The same as a line {"id", "messages"}, without a newline.
std::string pretraining_line(std::uint64_t seed, std::uint64_t index);

/// What the runtime asks when it classifies a query with its default labels.
std::string routing_prompt(std::string_view query);

}  // namespace t2::demo
