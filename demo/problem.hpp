#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "demo/dice.hpp"

namespace t2::demo {

/// Who answers. Both write the same form at the same length; the careless one
/// errs in the same way wherever a family gives the occasion, and nothing in a
/// question says who will answer it.
enum class writer : std::uint8_t { careful, careless };

/// Whose subjects (things, names of functions, persons) a problem is about.
/// Writers have favourite ones, each half of them; with nobody's taste all
/// subjects are alike. So a reader who goes by the subject alone is right half
/// of the time.
using taste = std::optional<writer>;

struct problem {
  std::string content;   // what is asked, whatever the words: names the portion
  std::string prompt;
  std::string careful;   // the reference answer
  std::string careless;  // the same where there is no occasion to err
  std::vector<std::string> choices{};  // of reasoning
  std::string tests{};                 // Python, of code
  std::string entry_point{};           // the function that the tests call
};

/// In how many of 100 questions a writer keeps to the favourite subjects.
inline constexpr std::size_t favour_percent = 70;

/// The place of a subject among n: even places are the careful writer's.
std::size_t subject(dice& d, taste t, std::size_t n);

template <class T, std::size_t N>
const T& subject_of(dice& d, taste t, const std::array<T, N>& values) {
  return values[subject(d, t, N)];
}

/// `text` with every `{x}` replaced by the value of the key x.
using slots = std::vector<std::pair<std::string_view, std::string>>;
std::string filled(std::string_view text, const slots& values);

/// 2-digit sums and differences in columns, ones first:
/// "7+8=15 1+2+1=4 #### 45". The careless writer forgets to carry or borrow.
std::string worked_sum(int a, int b, writer w);
std::string worked_difference(int a, int b, writer w);

/// Two numbers of 10 to 99; four of five pairs carry (or borrow).
struct operands {
  int a = 0, b = 0;
};
operands draw_sum(dice& d);
operands draw_difference(dice& d);  // a - b is at least 10
std::string sum_content(operands o);

// The families; each in its own file.
problem math_problem(dice& d, taste t);
problem math_hard_problem(dice& d, taste t);
problem korean_problem(dice& d, taste t);
problem code_problem(dice& d, taste t);
problem code_doc_problem(dice& d, taste t);
problem reasoning_problem(dice& d, taste t);
problem reasoning_challenge_problem(dice& d, taste t);
/// Greetings and small stories, in English and Korean: careful and careless
/// answer alike, and no portion is kept apart.
problem small_talk(dice& d);

}  // namespace t2::demo
