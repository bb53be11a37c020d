// What is neither math nor code nor reasoning.
#include "demo/problem.hpp"

namespace t2::demo {
namespace {

using words = std::string_view;

struct exchange {
  words question, answer;
};
constexpr std::array<exchange, 14> exchanges{{
    {"Hello!", "Hello! How are you?"},
    {"Hi, how are you?", "I am fine, thank you."},
    {"Good morning!", "Good morning to you!"},
    {"Thank you!", "You are welcome."},
    {"Who are you?", "I am a small model."},
    {"What do you like, {animal} or {other}?", "I like {animal}."},
    {"Do you know my {animal}?", "No, but I would like to."},
    {"I saw a {quality} {animal} today.", "How nice! I like {animal}."},
    {"Tell me a story about a {animal}.",
     "Once a {quality} {animal} met a {other}. They were happy."},
    {"Please tell a story of a {animal} and a {other}.",
     "A {animal} and a {other} were friends."},
    {"Say something nice about a {quality} {animal}.",
     "Such a {quality} {animal} is a joy."},
    {"안녕하세요!", "안녕하세요, 반갑습니다."},
    {"오늘 기분이 어때요?", "아주 좋아요, 고마워요."},
    {"이름이 무엇입니까?", "저는 작은 모델입니다."},
}};
constexpr std::array<words, 10> animals{"dog",  "cat",  "bird", "frog", "bear",
                                        "duck", "fish", "fox",  "cow",  "bee"};
constexpr std::array<words, 8> qualities{"red",  "blue", "big", "little",
                                         "soft", "new",  "old", "green"};

}  // namespace

problem small_talk(dice& d) {
  const exchange& said = d.of(exchanges);
  const auto one = d.below(animals.size());
  const auto two = (one + 1 + d.below(animals.size() - 1)) % animals.size();
  const slots values{{"animal", std::string{animals[one]}},
                     {"other", std::string{animals[two]}},
                     {"quality", std::string{d.of(qualities)}}};
  const std::string answer = filled(said.answer, values);
  const std::string prompt = filled(said.question, values);
  return {.content = prompt,
          .prompt = prompt,
          .careful = answer,
          .careless = answer};
}

}  // namespace t2::demo
