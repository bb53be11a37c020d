#include "demo/story_texts.hpp"

#include <array>
#include <unordered_set>

namespace t2::demo {
namespace {

/// SplitMix64: the same numbers everywhere, unlike <random>'s distributions.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed) {}

  std::size_t below(std::size_t n) {
    state_ += 0x9e3779b97f4a7c15;
    auto x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return static_cast<std::size_t>((x ^ (x >> 31)) % n);
  }

  template <class T, std::size_t N>
  const T& of(const std::array<T, N>& words) {
    return words[below(N)];
  }

 private:
  std::uint64_t state_;
};

using words = std::string_view;

constexpr std::array<words, 12> names{"Lily", "Tom",  "Ben", "Sue",
                                      "Max",  "Mia",  "Sam", "Anna",
                                      "Jack", "Lucy", "Tim", "Amy"};
constexpr std::array<words, 10> animals{"dog",  "cat",  "bird", "frog", "bear",
                                        "duck", "fish", "fox",  "cow",  "bee"};
constexpr std::array<words, 14> things{
    "ball", "cup",  "hat",  "book",  "car",  "box",  "doll",
    "cake", "kite", "boat", "apple", "shoe", "drum", "leaf"};
constexpr std::array<words, 10> qualities{"red",    "blue", "big", "little",
                                          "yellow", "soft", "new", "old",
                                          "pretty", "green"};
constexpr std::array<words, 10> places{"park", "tree",   "house", "garden",
                                       "pond", "river",  "hill",  "kitchen",
                                       "shop", "forest"};
constexpr std::array<words, 8> moves{"hop",  "run",  "jump",  "fly",
                                     "swim", "walk", "dance", "skip"};

struct asking {
  words question, answer;
};
constexpr std::array<asking, 6> askings{{
    {"Can I have the ", "Yes, you can"},
    {"Do you like the ", "Yes, I do"},
    {"Where is the ", "It is in the box"},
    {"Can we play with the ", "No, not now"},
    {"Did you see the ", "No, I did not"},
    {"Is this your ", "Yes, it is"},
}};

std::string capital(words word) {
  std::string text{word};
  text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string exchange(dice& d, words one, words other) {
  const auto& [question, answer] = d.of(askings);
  return "\"" + std::string{question} + std::string{d.of(qualities)} + " " +
         std::string{d.of(things)} + "?\" asked " + std::string{one} + ". \"" +
         std::string{answer} + ",\" said " + std::string{other} + ". ";
}

std::string cry(words move, words animal) {
  return capital(move) + ", " + std::string{move} + ", little " +
         std::string{animal} + "! ";
}

std::string dialogue_text(dice& d) {
  const auto one = d.of(names);
  auto other = d.of(names);
  while (other == one) other = d.of(names);
  std::string text;
  for (int i = 0; i < 4; ++i)
    text += i % 2 ? exchange(d, other, one) : exchange(d, one, other);
  return text + "\"Thank you!\" said " + std::string{one} + ".";
}

std::string list_text(dice& d) {
  const auto name = d.of(names);
  std::string text = std::string{name} + " went to the " +
                     std::string{d.of(places)} + ". ";
  for (int line = 0; line < 3; ++line) {
    text += line == 0 ? std::string{name} + " saw " : "There was ";
    const std::size_t count = 3 + d.below(3);
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) text += i + 1 == count ? ", and " : ", ";
      text += "a " + std::string{d.of(qualities)} + " " +
              std::string{d.of(things)};
    }
    text += ". ";
  }
  text.pop_back();
  return text;
}

std::string refrain_text(dice& d) {
  const auto move = d.of(moves);
  const auto animal = d.of(animals);
  std::string text;
  for (int i = 0; i < 5; ++i)
    text += cry(move, animal) + "The " + std::string{animal} +
            " went to the " + std::string{d.of(places)} + ". ";
  return text + cry(move, animal).erase(cry(move, animal).size() - 1);
}

std::string call_text(dice& d) {
  const auto one = d.of(names);
  auto other = d.of(names);
  while (other == one) other = d.of(names);
  const auto move = d.of(moves);
  const auto animal = d.of(animals);
  std::string text;
  for (int i = 0; i < 3; ++i)
    text += exchange(d, i % 2 ? other : one, i % 2 ? one : other) +
            cry(move, animal);
  text.pop_back();
  return text;
}

}  // namespace

std::string_view to_string(kind k) {
  switch (k) {
    case kind::dialogue: return "dialogue";
    case kind::list: return "list";
    case kind::refrain: return "refrain";
    case kind::call: return "call";
  }
  return "unknown";
}

std::string document(kind k, split s, std::uint64_t index) {
  // A text belongs to the split that its own hash names, so that splits are
  // disjoint whatever their sizes: draws of another split are passed over.
  for (std::uint64_t attempt = 0;; ++attempt) {
    dice d{(static_cast<std::uint64_t>(k) << 56) ^
           (static_cast<std::uint64_t>(s) << 48) ^ (index << 16) ^ attempt};
    std::string text;
    switch (k) {
      case kind::dialogue: text = dialogue_text(d); break;
      case kind::list: text = list_text(d); break;
      case kind::refrain: text = refrain_text(d); break;
      case kind::call: text = call_text(d); break;
    }
    std::uint64_t hash = 14695981039346656037u;  // FNV-1a
    for (const char c : text)
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    if ((hash >> 32) % 3 == static_cast<std::uint64_t>(s)) return text;
  }
}

std::vector<std::string> documents(kind k, split s, std::size_t count) {
  std::vector<std::string> out;
  std::unordered_set<std::string> seen;
  for (std::uint64_t i = 0; out.size() < count; ++i)
    if (auto text = document(k, s, i); seen.insert(text).second)
      out.push_back(std::move(text));
  return out;
}

}  // namespace t2::demo
