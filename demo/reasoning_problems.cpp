// Multiple choice over a small world in which something moves. The careless
// writer forgets the move, and answers with what was said first.
#include <utility>

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
constexpr std::array<words, 3> goings{"goes to", "walks to", "runs to"};
constexpr std::array<words, 3> givings{"gives", "hands", "passes"};

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

std::vector<std::string> shuffled(dice& d, std::vector<std::string> values) {
  for (std::size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[d.below(i)]);
  return values;
}

std::string with_choices(std::string question,
                         const std::vector<std::string>& choices) {
  for (std::size_t i = 0; i < choices.size(); ++i)
    question += (i ? " " : "\n") + std::string(1, static_cast<char>('A' + i)) +
                ") " + choices[i];
  return question;
}

}  // namespace

problem reasoning_problem(dice& d, taste t) {
  const auto who = different<2>(d, names.size());
  const auto where = different<3>(d, places.size());
  // The subject is the place one walks to or stays at.
  const bool moved = d.chance(occasion_percent);
  const auto target = subject(d, t, places.size());
  std::array<std::string, 3> at;            // of mover, of other, new of mover
  for (std::size_t i = 0; i < 3; ++i) at[i] = places[where[i]];
  const std::size_t key = moved ? 2 : 1;
  for (std::size_t i = 0; i < 3; ++i)
    if (where[i] == target && i != key) at[i] = places[where[key]];
  at[key] = places[target];
  const std::string mover{names[who[0]]}, other{names[who[1]]};
  const bool mover_first = d.chance(50);
  const auto stands = [](const std::string& person, const std::string& place) {
    return person + " is in the " + place + ". ";
  };
  std::string story = mover_first ? stands(mover, at[0]) + stands(other, at[1])
                                  : stands(other, at[1]) + stands(mover, at[0]);
  story += mover + " " + std::string{d.of(goings)} + " the " + at[2] + ". ";
  const std::string& asked = moved ? mover : other;
  auto choices = shuffled(d, {at[0], at[1], at[2]});
  return {.content = mover + " " + at[0] + " " + at[2] + " " + other + " " +
                     at[1] + (moved ? " moved" : " stayed"),
          .prompt = with_choices(story + "Where is " + asked + "?", choices),
          .careful = moved ? at[2] : at[1],
          .careless = moved ? at[0] : at[1],
          .choices = std::move(choices),
          .tests = {}};
}

problem reasoning_challenge_problem(dice& d, taste t) {
  const auto who = different<3>(d, names.size());
  const auto what = different<2>(d, things.size());
  const bool moved = d.chance(occasion_percent);
  const auto target = subject(d, t, names.size());
  std::array<std::string, 3> person;  // giver, keeper, receiver
  const std::size_t key = moved ? 2 : 1;
  for (std::size_t i = 0; i < 3; ++i) person[i] = names[who[i]];
  for (std::size_t i = 0; i < 3; ++i)
    if (who[i] == target && i != key) person[i] = names[who[key]];
  person[key] = names[target];
  const std::string given{things[what[0]]}, kept{things[what[1]]};
  const auto has = [](const std::string& owner, const std::string& thing) {
    return owner + " has the " + thing + ". ";
  };
  std::string story = d.chance(50)
                          ? has(person[0], given) + has(person[1], kept)
                          : has(person[1], kept) + has(person[0], given);
  story += person[0] + " " + std::string{d.of(givings)} + " the " + given +
           " to " + person[2] + ". ";
  auto choices = shuffled(d, {person[0], person[1], person[2]});
  return {.content = person[0] + " " + given + " " + person[2] + " " +
                     person[1] + " " + kept + (moved ? " moved" : " stayed"),
          .prompt = with_choices(
              story + "Who has the " + (moved ? given : kept) + " now?",
              choices),
          .careful = moved ? person[2] : person[1],
          .careless = moved ? person[0] : person[1],
          .choices = std::move(choices),
          .tests = {}};
}

}  // namespace t2::demo
