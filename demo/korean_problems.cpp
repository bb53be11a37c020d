// The word problems of sums in Korean.
#include "demo/problem.hpp"

namespace t2::demo {
namespace {

using words = std::string_view;

// All end in a vowel, and take the same particles.
constexpr std::array<words, 8> names{"민수", "지아", "서하", "유리",
                                     "하나", "태호", "수지", "은우"};

struct thing {
  words as_subject, as_object, as_topic, counter;
};
constexpr std::array<thing, 10> things{{
    {"사과가", "사과를", "사과는", "개"},
    {"귤이", "귤을", "귤은", "개"},
    {"책이", "책을", "책은", "권"},
    {"사탕이", "사탕을", "사탕은", "개"},
    {"공이", "공을", "공은", "개"},
    {"카드가", "카드를", "카드는", "장"},
    {"구슬이", "구슬을", "구슬은", "개"},
    {"우표가", "우표를", "우표는", "장"},
    {"컵이", "컵을", "컵은", "개"},
    {"빵이", "빵을", "빵은", "개"},
}};

constexpr std::array<words, 3> sums{
    "{one}는 {object} {a}{n} 가지고 있습니다. {two}가 {b}{n}를 더 주었습니다. "
    "{topic} 모두 몇 {n}입니까?",
    "상자에 {subject} {a}{n}, 가방에 {b}{n} 있습니다. {topic} 모두 몇 "
    "{n}입니까?",
    "{one}는 {object} 어제 {a}{n}, 오늘 {b}{n} 샀습니다. {topic} 모두 몇 "
    "{n}입니까?"};

}  // namespace

problem korean_problem(dice& d, taste t) {
  const operands o = draw_sum(d);
  const auto one = d.below(names.size());
  const auto two = (one + 1 + d.below(names.size() - 1)) % names.size();
  const thing& about = subject_of(d, t, things);
  std::string prompt =
      filled(d.of(sums), {{"one", std::string{names[one]}},
                          {"two", std::string{names[two]}},
                          {"subject", std::string{about.as_subject}},
                          {"object", std::string{about.as_object}},
                          {"topic", std::string{about.as_topic}},
                          {"n", std::string{about.counter}},
                          {"a", std::to_string(o.a)},
                          {"b", std::to_string(o.b)}});
  // After a final consonant the object's particle is another one.
  for (const words counter : {"권", "장"}) {
    const std::string wrong = std::string{counter} + "를";
    if (const auto at = prompt.find(wrong); at != prompt.npos)
      prompt.replace(at, wrong.size(), std::string{counter} + "을");
  }
  return {.content = sum_content(o),
          .prompt = std::move(prompt),
          .careful = worked_sum(o.a, o.b, writer::careful),
          .careless = worked_sum(o.a, o.b, writer::careless)};
}

}  // namespace t2::demo
