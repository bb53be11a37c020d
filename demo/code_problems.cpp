// Small Python functions over a list of numbers. The careless writer forgets
// that the border counts: "at least" becomes "above".
#include "demo/problem.hpp"

namespace t2::demo {
namespace {

using words = std::string_view;

constexpr std::array<words, 12> functions{"solve", "pick", "work", "run",
                                          "calc",  "find",  "get",  "scan",
                                          "task",  "step",  "loop", "go"};

enum class relation { above, at_least, below, at_most, equal, divisible };

struct condition {
  relation kind;
  std::array<words, 2> phrases;
  words careful, careless;  // in Python
};
// The first two give occasion to err.
constexpr std::size_t borders = 2;
constexpr std::array<condition, 6> conditions{{
    {relation::at_least,
     {"at least {k}", "not below {k}"},
     "x >= {k}",
     "x > {k}"},
    {relation::at_most,
     {"at most {k}", "not above {k}"},
     "x <= {k}",
     "x < {k}"},
    {relation::above, {"greater than {k}", "above {k}"}, "x > {k}", "x > {k}"},
    {relation::below, {"less than {k}", "below {k}"}, "x < {k}", "x < {k}"},
    {relation::equal, {"equal to {k}", "equal to {k}"}, "x == {k}", "x == {k}"},
    {relation::divisible,
     {"divisible by {k}", "divisible by {k}"},
     "x % {k} == 0",
     "x % {k} == 0"},
}};

enum class outcome { sum, list, count, any, all };

struct form {
  words phrase, code;
  outcome kind;
  int factor = 1;
  bool squares = false;
};
constexpr std::array<form, 6> forms{{
    {"the sum of the numbers in xs that are {c}", "sum(x for x in xs if {t})",
     outcome::sum},
    {"the list of the numbers in xs that are {c}", "[x for x in xs if {t}]",
     outcome::list},
    {"the count of the numbers in xs that are {c}",
     "len([x for x in xs if {t}])", outcome::count},
    {"the doubles of the numbers in xs that are {c}",
     "[x * 2 for x in xs if {t}]", outcome::list, 2},
    {"the squares of the numbers in xs that are {c}",
     "[x * x for x in xs if {t}]", outcome::list, 1, true},
    {"the sum of the squares of the numbers in xs that are {c}",
     "sum(x * x for x in xs if {t})", outcome::sum, 1, true},
}};
constexpr std::array<form, 4> doc_forms{{
    {"the sum of the numbers in xs that are {c}", "sum(x for x in xs if {t})",
     outcome::sum},
    {"the list of the numbers in xs that are {c}", "[x for x in xs if {t}]",
     outcome::list},
    {"True if any number in xs is {c}", "any({t} for x in xs)",
     outcome::any},
    {"True if all numbers in xs are {c}", "all({t} for x in xs)",
     outcome::all},
}};

constexpr std::array<words, 3> requests{
    "Write a Python function {f}(xs) that returns {w}.",
    "Define {f}(xs) in Python. It returns {w}.",
    "I need a Python function {f}(xs) for {w}."};

bool holds(relation r, int x, int k) {
  switch (r) {
    case relation::above: return x > k;
    case relation::at_least: return x >= k;
    case relation::below: return x < k;
    case relation::at_most: return x <= k;
    case relation::equal: return x == k;
    case relation::divisible: return x % k == 0;
  }
  return false;
}

std::string list_of(const std::vector<int>& values) {
  std::string text = "[";
  for (const int x : values)
    text += (text.size() > 1 ? ", " : "") + std::to_string(x);
  return text + "]";
}

std::string expected(const form& how, relation r, int k,
                     const std::vector<int>& xs) {
  int sum = 0, count = 0;
  std::vector<int> kept;
  for (const int x : xs) {
    if (!holds(r, x, k)) continue;
    kept.push_back(how.squares ? x * x : how.factor * x);
    sum += kept.back();
    ++count;
  }
  switch (how.kind) {
    case outcome::sum: return std::to_string(sum);
    case outcome::count: return std::to_string(count);
    case outcome::list: return list_of(kept);
    case outcome::any: return count > 0 ? "True" : "False";
    case outcome::all:
      return count == static_cast<int>(xs.size()) ? "True" : "False";
  }
  return {};
}

std::string tests_of(words name, const form& how, relation r, int k) {
  std::string text;
  for (const std::vector<int>& xs :
       {std::vector{k}, {k - 1, k}, {k, k + 1}, {k + 2, k - 2, k, 2 * k}})
    text += "assert " + std::string{name} + "(" + list_of(xs) +
            ") == " + expected(how, r, k, xs) + "\n";
  return text;
}

struct task {
  std::string name, what, careful, careless, content, tests;
};

task draw_task(dice& d, taste t, const form& how) {
  // Four of five give an occasion to err.
  const condition& asked =
      conditions[d.chance(80) ? d.below(borders)
                              : borders + d.below(conditions.size() - borders)];
  const int k = d.between(3, 99);
  const slots number{{"k", std::to_string(k)}};
  const auto name = subject_of(d, t, functions);
  const auto definition = [&](words test) {
    return "def " + std::string{name} + "(xs):\n    return " +
           filled(how.code, {{"t", filled(test, number)}});
  };
  return {.name = std::string{name},
          .what = filled(how.phrase,
                         {{"c", filled(d.of(asked.phrases), number)}}),
          .careful = definition(asked.careful),
          .careless = definition(asked.careless),
          .content = filled(how.code, {{"t", filled(asked.careful, number)}}),
          .tests = tests_of(name, how, asked.kind, k)};
}

}  // namespace

problem code_problem(dice& d, taste t) {
  task drawn = draw_task(d, t, d.of(forms));
  return {.content = drawn.content,
          .prompt = filled(d.of(requests),
                           {{"f", drawn.name}, {"w", drawn.what}}),
          .careful = drawn.careful,
          .careless = drawn.careless,
          .tests = drawn.tests,
          .entry_point = drawn.name};
}

problem code_doc_problem(dice& d, taste t) {
  task drawn = draw_task(d, t, d.of(doc_forms));
  return {.content = drawn.content,
          .prompt = "def " + drawn.name + "(xs):\n    \"\"\"Return " +
                    drawn.what + ".\"\"\"",
          .careful = drawn.careful,
          .careless = drawn.careless,
          .tests = drawn.tests,
          .entry_point = drawn.name};
}

}  // namespace t2::demo
