// Multiple choice over a small world in which persons walk and things change
// hands. The careless writer forgets the move, and answers with what was said
// first.
#include "demo/problem.hpp"

namespace t2::demo {
namespace {

using words = std::string_view;

constexpr std::array<words, 12> names{"Lily", "Tom",  "Ben", "Sue",
                                      "Max",  "Mia",  "Sam", "Anna",
                                      "Jack", "Lucy", "Tim", "Amy"};
constexpr std::array<words, 10> places{"park",   "garden", "house", "shop",
                                       "barn",   "kitchen", "hall", "forest",
                                       "cellar", "school"};
constexpr std::array<words, 10> things{"ball", "hat", "book", "kite", "drum",
                                       "doll", "cup", "lamp", "boat", "ring"};
constexpr std::array<words, 2> goings{"goes to", "walks to"};
constexpr std::array<words, 2> passings{"goes to", "moves to"};

constexpr std::size_t occasion_percent = 80;  // to err: asked about what moved

/// `count` different places in an array of n.
template <std::size_t Count>
std::array<std::size_t, Count> different(dice& d, std::size_t n) {
  std::array<std::size_t, Count> out{};
  for (std::size_t i = 0; i < Count; ++i) {
    bool again = true;
    while (again) {
      out[i] = d.below(n);
      again = false;
      for (std::size_t j = 0; j < i; ++j) again = again || out[j] == out[i];
    }
  }
  return out;
}

/// What is said of somebody or something, in this order. The first is where it
/// starts; the second, where there is one, where it ends.
using facts = std::vector<std::string>;

/// The facts of two, each in its own order, lettered as the choices. The
/// careful answer is the last that is said of the first, the careless one the
/// first.
problem asked(dice& d, const facts& of_asked, const facts& of_other,
              const std::string& question) {
  problem out{.content = {},
              .prompt = {},
              .careful = of_asked.back(),
              .careless = of_asked.front()};
  for (std::size_t i = 0, j = 0; i < of_asked.size() || j < of_other.size();) {
    const bool own = j == of_other.size() ||
                     (i < of_asked.size() && d.chance(50));
    out.choices.push_back(own ? of_asked[i++] : of_other[j++]);
    out.prompt += std::string(1, static_cast<char>(
                                     'A' + out.choices.size() - 1)) +
                  ") " + out.choices.back() + ". ";
  }
  out.prompt += question;
  return out;
}

struct walk {
  std::size_t person = 0;
  std::vector<std::size_t> places{};
};

std::string content_of(const walk& w) {
  std::string text{names[w.person]};
  for (const std::size_t place : w.places)
    text += " " + std::string{places[place]};
  return text;
}

facts told(dice& d, const walk& w) {
  const std::string person{names[w.person]};
  facts out{person + " is in the " + std::string{places[w.places[0]]}};
  if (w.places.size() > 1)
    out.push_back(person + " " + std::string{d.of(goings)} + " the " +
                  std::string{places[w.places[1]]});
  return out;
}

struct journey {
  std::size_t thing = 0;
  std::vector<std::size_t> owners{};
};

std::string content_of(const journey& j) {
  std::string text{things[j.thing]};
  for (const std::size_t owner : j.owners)
    text += " " + std::string{names[owner]};
  return text;
}

facts told(dice& d, const journey& j) {
  const std::string thing = "The " + std::string{things[j.thing]};
  facts out{thing + " is with " + std::string{names[j.owners[0]]}};
  if (j.owners.size() > 1)
    out.push_back(thing + " " + std::string{d.of(passings)} + " " +
                  std::string{names[j.owners[1]]});
  return out;
}

/// What moves is asked about in most problems; the other one in some.
struct moves {
  bool asked = false, other = false;
};
moves draw_moves(dice& d) {
  return {.asked = d.chance(occasion_percent), .other = d.chance(30)};
}

/// Where it starts and, if it moves, where it ends, which is of the taste.
std::vector<std::size_t> stations(dice& d, taste t, std::size_t n,
                                  bool moved) {
  std::vector<std::size_t> out{subject(d, t, n)};
  if (moved) out.insert(out.begin(), (out[0] + 1 + d.below(n - 1)) % n);
  return out;
}

}  // namespace

problem reasoning_problem(dice& d, taste t) {
  const auto who = different<2>(d, names.size());
  const moves move = draw_moves(d);
  const walk one{who[0], stations(d, t, places.size(), move.asked)};
  const walk other{who[1], stations(d, {}, places.size(), move.other)};
  problem out = asked(d, told(d, one), told(d, other),
                      "Where is " + std::string{names[one.person]} + " now?");
  out.content = content_of(one) + ", " + content_of(other);
  return out;
}

problem reasoning_challenge_problem(dice& d, taste t) {
  const auto what = different<2>(d, things.size());
  const moves move = draw_moves(d);
  const journey one{what[0], stations(d, t, names.size(), move.asked)};
  const journey other{what[1], stations(d, {}, names.size(), move.other)};
  problem out = asked(d, told(d, one), told(d, other),
                      "Who has the " + std::string{things[one.thing]} + "?");
  out.content = content_of(one) + ", " + content_of(other);
  return out;
}

}  // namespace t2::demo
