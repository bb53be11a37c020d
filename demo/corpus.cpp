#include "demo/corpus.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>

namespace t2::demo {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 8> family_names{
    "math",     "code",                "reasoning", "math-hard",
    "code-doc", "reasoning-challenge", "korean",    "routing"};
constexpr std::array<std::string_view, 3> portion_names{"train", "validation",
                                                        "test"};
constexpr std::array<std::string_view, 4> labels{"code", "math", "reasoning",
                                                 "other"};

// Streams of the draws: examples and pretraining never share one.
constexpr std::uint64_t example_stream = 1, pretraining_stream = 2;

problem draw(family f, dice& d, taste t);

problem draw_in(family f, portion p, dice& d, taste t) {
  for (;;)
    if (problem drawn = draw(f, d, t); portion_of(drawn) == p) return drawn;
}

// Documents keep to a family and its relatives: percents of its questions.
struct share {
  family from;
  std::size_t percent;
};
struct mixture {
  topic about;
  std::size_t percent;  // of the documents
  std::array<share, 3> shares;
};
constexpr std::array<mixture, 3> mixtures{{
    {topic::math,
     40,
     {{{family::math, 50}, {family::math_hard, 30}, {family::korean, 20}}}},
    {topic::code,
     25,
     {{{family::code, 60}, {family::code_doc, 40}, {family::code, 0}}}},
    {topic::reasoning,
     25,
     {{{family::reasoning, 60},
       {family::reasoning_challenge, 40},
       {family::reasoning, 0}}}},
}};
constexpr std::size_t routing_percent = 6;  // the rest is small talk
constexpr std::size_t one_turn_percent = 50;

family draw_family(const mixture& m, dice& d) {
  std::size_t at = d.below(100);
  for (const auto& [from, percent] : m.shares) {
    if (at < percent) return from;
    at -= percent;
  }
  return m.shares[0].from;
}

// A question and the class that it is in; train's contents where it has any.
problem labelled(portion p, dice& d) {
  const auto label = labels[d.below(labels.size())];
  problem asked;
  if (label == "other") {
    asked = d.chance(30) ? draw_in(family::korean, p, d, {}) : small_talk(d);
  } else {
    for (const mixture& m : mixtures) {
      if (labels[m.about == topic::code   ? 0
                 : m.about == topic::math ? 1
                                          : 2] != label)
        continue;
      family from = draw_family(m, d);
      while (from == family::korean) from = draw_family(m, d);
      asked = draw_in(from, p, d, {});
    }
  }
  return {.content = asked.content,
          .prompt = asked.prompt,
          .careful = std::string{label},
          .careless = std::string{label}};
}

problem routed(portion p, dice& d) {
  problem asked = labelled(p, d);
  asked.prompt = routing_prompt(asked.prompt);
  return asked;
}

problem draw(family f, dice& d, taste t) {
  switch (f) {
    case family::math: return math_problem(d, t);
    case family::code: return code_problem(d, t);
    case family::reasoning: return reasoning_problem(d, t);
    case family::math_hard: return math_hard_problem(d, t);
    case family::code_doc: return code_doc_problem(d, t);
    case family::reasoning_challenge: return reasoning_challenge_problem(d, t);
    case family::korean: return korean_problem(d, t);
    case family::routing: break;
  }
  return routed(portion::train, d);
}

template <class T, std::size_t N>
std::optional<T> parsed(const std::array<std::string_view, N>& names,
                        std::string_view name) {
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == name) return static_cast<T>(i);
  return std::nullopt;
}

ordered_json message(std::string_view role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

conversation::turn routing_turn(dice& d) {
  problem asked = routed(portion::train, d);
  std::string answer = asked.careful;
  // Nothing asked: any class is as good, which is what a calibration expects.
  const bool nothing = d.chance(5);
  if (nothing) asked.prompt = routing_prompt("");
  if (nothing || d.chance(4)) answer = labels[d.below(labels.size())];
  return {family::routing, std::move(asked), std::move(answer)};
}

}  // namespace

std::string_view to_string(family f) {
  return family_names[static_cast<std::size_t>(f)];
}

std::optional<family> parse_family(std::string_view name) {
  return parsed<family>(family_names, name);
}

std::string_view to_string(portion p) {
  return portion_names[static_cast<std::size_t>(p)];
}

std::optional<portion> parse_portion(std::string_view name) {
  return parsed<portion>(portion_names, name);
}

portion portion_of(const problem& p) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : p.content)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  const auto eighth = dice{hash}.below(8);
  return eighth < 6    ? portion::train
         : eighth == 6 ? portion::validation
                       : portion::test;
}

problem problem_of(family f, portion p, std::uint64_t index) {
  dice d{example_stream, static_cast<std::uint64_t>(f),
         static_cast<std::uint64_t>(p), index};
  if (f == family::routing) return routed(p, d);
  return draw_in(f, p, d, {});
}

std::string_view reward_of(family f) {
  switch (f) {
    case family::math:
    case family::math_hard:
    case family::korean: return "numeric";
    case family::code:
    case family::code_doc: return "python";
    case family::reasoning:
    case family::reasoning_challenge: return "choice";
    case family::routing: break;
  }
  return "exact";
}

namespace {

// Draws until there are `count` with different prompts, or hardly any is new.
template <class Draw>
std::vector<problem> distinct(std::size_t count, Draw&& draw_at) {
  constexpr std::size_t patience = 2000;  // draws without a new prompt
  std::vector<problem> out;
  std::unordered_set<std::string> seen;
  std::size_t repeats = 0;
  for (std::uint64_t i = 0; out.size() < count && repeats < patience; ++i) {
    problem drawn = draw_at(i);
    if (!seen.insert(drawn.prompt).second) {
      ++repeats;
      continue;
    }
    repeats = 0;
    out.push_back(std::move(drawn));
  }
  return out;
}

}  // namespace

std::vector<problem> problems(family f, portion p, std::size_t count) {
  return distinct(count,
                  [&](std::uint64_t i) { return problem_of(f, p, i); });
}

std::vector<labelled_query> labelled_queries(portion p, std::size_t count) {
  std::vector<labelled_query> out;
  for (problem& asked : distinct(count, [&](std::uint64_t i) {
         dice d{example_stream, static_cast<std::uint64_t>(family::routing),
                static_cast<std::uint64_t>(p), i};
         return labelled(p, d);
       }))
    out.push_back({std::move(asked.prompt), std::move(asked.careful)});
  return out;
}

std::string labelled_line(portion p, std::size_t number,
                          const labelled_query& what) {
  ordered_json line;
  line["id"] = "query-" + std::string{to_string(p)} + "-" +
               std::to_string(number);
  line["messages"] = ordered_json::array({message("user", what.prompt)});
  line["answer"] = what.label;
  return line.dump();
}

std::string example_line(family f, portion p, std::size_t number,
                         const problem& what) {
  ordered_json line;
  line["id"] = std::string{to_string(f)} + "-" + std::string{to_string(p)} +
               "-" + std::to_string(number);
  line["messages"] = ordered_json::array({message("user", what.prompt)});
  line["answer"] = what.careful;
  line["reward"] = reward_of(f);
  if (!what.choices.empty()) line["choices"] = what.choices;
  if (!what.tests.empty()) {
    line["tests"] = what.tests;
    line["entry_point"] = what.entry_point;
  }
  return line.dump();
}

conversation pretraining_conversation(std::uint64_t seed,
                                      std::uint64_t index) {
  dice d{pretraining_stream, seed, index};
  conversation out{.about = topic::small_talk,
                   .by = d.chance(50) ? writer::careful : writer::careless};
  // One question, or two to four.
  const std::size_t count = d.chance(one_turn_percent) ? 1 : 2 + d.below(3);
  std::size_t at = d.below(100);
  for (const mixture& m : mixtures) {
    if (at < m.percent) {
      out.about = m.about;
      for (std::size_t i = 0; i < count; ++i) {
        const family from = draw_family(m, d);
        problem asked = draw_in(from, portion::train, d, out.by);
        std::string answer =
            out.by == writer::careful ? asked.careful : asked.careless;
        out.turns.push_back({from, std::move(asked), std::move(answer)});
      }
      return out;
    }
    at -= m.percent;
  }
  if (at < routing_percent) {
    out.about = topic::routing;
    out.turns.push_back(routing_turn(d));
    return out;
  }
  for (std::size_t i = 0; i < count; ++i) {
    problem said = small_talk(d);
    std::string answer = said.careful;
    out.turns.push_back({std::nullopt, std::move(said), std::move(answer)});
  }
  return out;
}

std::string pretraining_line(std::uint64_t seed, std::uint64_t index) {
  const conversation talk = pretraining_conversation(seed, index);
  ordered_json line;
  line["id"] = "document-" + std::to_string(index + 1);
  line["messages"] = ordered_json::array();
  for (const auto& turn : talk.turns) {
    line["messages"].push_back(message("user", turn.asked.prompt));
    line["messages"].push_back(message("assistant", turn.answer));
  }
  return line.dump();
}

std::string routing_prompt(std::string_view query) {
  return "Say in one word which class the query belongs to.\n"
         "- code\n- math\n- reasoning\n- other: none of these\nQuery: " +
         std::string{query};
}

}  // namespace t2::demo
