// Word problems with the sum worked in columns; differences and bare equations
// as their harder relative.
#include <algorithm>

#include "demo/problem.hpp"

namespace t2::demo {
namespace {

using words = std::string_view;

constexpr std::array<words, 12> names{"Lily", "Tom",  "Ben", "Sue",
                                      "Max",  "Mia",  "Sam", "Anna",
                                      "Jack", "Lucy", "Tim", "Amy"};
constexpr std::array<words, 12> things{
    "apples", "coins", "books",   "cards", "shells", "stamps",
    "eggs",   "pens",  "marbles", "cups",  "stones", "cakes"};

constexpr std::array<words, 4> sums{
    "{one} has {a} {things}. {two} gives {one} {b} more. How many {things} "
    "does {one} have now?",
    "There are {a} {things} in a box and {b} in a bag. How many {things} are "
    "there?",
    "{one} finds {a} {things} and then {b} more. How many {things} does {one} "
    "find?",
    "A shop sells {a} {things} today and {b} the next day. How many {things} "
    "does it sell?"};

constexpr std::array<words, 4> differences{
    "{one} has {a} {things} and gives {b} of them to {two}. How many {things} "
    "are left?",
    "There are {a} {things} in a box. {one} takes {b} of them. How many "
    "{things} stay in the box?",
    "What is {a} - {b}?", "Find x: x + {b} = {a}."};

std::string prompt_of(dice& d, taste t, words form, operands o) {
  const auto one = d.below(names.size());
  const auto two = (one + 1 + d.below(names.size() - 1)) % names.size();
  return filled(form, {{"one", std::string{names[one]}},
                       {"two", std::string{names[two]}},
                       {"a", std::to_string(o.a)},
                       {"b", std::to_string(o.b)},
                       {"things", std::string{subject_of(d, t, things)}}});
}

constexpr std::size_t occasion_percent = 80;  // to err

}  // namespace

std::string worked_sum(int a, int b, writer w) {
  const int ones = a % 10 + b % 10;
  const int carry = ones > 9 && w == writer::careful ? 1 : 0;
  const int tens = a / 10 + b / 10 + carry;
  return std::to_string(a % 10) + "+" + std::to_string(b % 10) + "=" +
         std::to_string(ones) + " " + std::to_string(a / 10) + "+" +
         std::to_string(b / 10) + "+" + std::to_string(carry) + "=" +
         std::to_string(tens) + " #### " + std::to_string(tens) +
         std::to_string(ones % 10);
}

std::string worked_difference(int a, int b, writer w) {
  const bool short_of = a % 10 < b % 10;
  const int top = a % 10 + (short_of ? 10 : 0);
  const int borrow = short_of && w == writer::careful ? 1 : 0;
  const int tens = a / 10 - b / 10 - borrow;
  return std::to_string(top) + "-" + std::to_string(b % 10) + "=" +
         std::to_string(top - b % 10) + " " + std::to_string(a / 10) + "-" +
         std::to_string(b / 10) + "-" + std::to_string(borrow) + "=" +
         std::to_string(tens) + " #### " + std::to_string(tens) +
         std::to_string(top - b % 10);
}

operands draw_sum(dice& d) {
  const bool carries = d.chance(occasion_percent);
  for (;;) {
    const operands o{d.between(10, 99), d.between(10, 99)};
    if ((o.a % 10 + o.b % 10 > 9) == carries) return o;
  }
}

operands draw_difference(dice& d) {
  const bool borrows = d.chance(occasion_percent);
  for (;;) {
    const operands o{d.between(20, 99), d.between(10, 89)};
    if (o.a - o.b >= 10 && (o.a % 10 < o.b % 10) == borrows) return o;
  }
}

std::string sum_content(operands o) {
  return std::to_string(std::min(o.a, o.b)) + "+" +
         std::to_string(std::max(o.a, o.b));
}

problem math_problem(dice& d, taste t) {
  const operands o = draw_sum(d);
  return {.content = sum_content(o),
          .prompt = prompt_of(d, t, d.of(sums), o),
          .careful = worked_sum(o.a, o.b, writer::careful),
          .careless = worked_sum(o.a, o.b, writer::careless)};
}

problem math_hard_problem(dice& d, taste t) {
  const operands o = draw_difference(d);
  return {.content = std::to_string(o.a) + "-" + std::to_string(o.b),
          .prompt = prompt_of(d, t, d.of(differences), o),
          .careful = worked_difference(o.a, o.b, writer::careful),
          .careless = worked_difference(o.a, o.b, writer::careless)};
}

}  // namespace t2::demo
