#include "demo/corpus.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "adaptation/example.hpp"
#include "adaptation/reward.hpp"
#include "config/sha256.hpp"

namespace t2::demo {
namespace {

constexpr std::array portions{portion::train, portion::validation,
                              portion::test};

std::vector<conversation> documents(std::size_t count) {
  std::vector<conversation> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(pretraining_conversation(1, i));
  return out;
}

example parsed(family f, portion p, const problem& what) {
  auto read = parse_examples(example_line(f, p, 1, what), "line");
  EXPECT_TRUE(read) << read.error().message;
  return read->at(0);
}

double words_in(const std::string& text) {
  return 1 + static_cast<double>(std::ranges::count(text, ' '));
}

TEST(corpus, portions_of_all_families_share_no_content) {
  std::map<std::string, portion> home;
  std::set<std::string> prompts;
  for (const family f : families) {
    if (f == family::routing) continue;
    for (const portion p : portions)
      for (const problem& drawn : problems(f, p, 400)) {
        const auto [at, fresh] = home.emplace(drawn.content, p);
        EXPECT_EQ(at->second, p) << drawn.content;
        EXPECT_TRUE(prompts.insert(drawn.prompt).second) << drawn.prompt;
      }
  }
  // Each portion has enough contents of its own, not only enough wordings.
  std::map<portion, std::size_t> contents;
  for (const auto& [content, p] : home) ++contents[p];
  EXPECT_GT(contents[portion::train], 2000u);
  EXPECT_GT(contents[portion::test], 1000u);
}

TEST(corpus, content_does_not_depend_on_the_words) {
  // Without names, things and greetings the same numbers are one content.
  std::map<std::string, std::set<std::string>> by_content;
  for (const portion p : portions)
    for (const family f : {family::math, family::korean})
      for (const problem& drawn : problems(f, p, 1500)) {
        std::multiset<std::string> numbers;
        std::string digits;
        for (const char c : drawn.prompt + " ") {
          if (c >= '0' && c <= '9') digits += c;
          else if (!digits.empty()) numbers.insert(std::exchange(digits, {}));
        }
        ASSERT_EQ(numbers.size(), 2u) << drawn.prompt;
        by_content[*numbers.begin() + " and " + *numbers.rbegin()].insert(
            drawn.content);
      }
  for (const auto& [numbers, contents] : by_content)
    EXPECT_EQ(contents.size(), 1u) << numbers;
}

TEST(corpus, pretraining_reads_contents_of_train_alone) {
  std::set<std::string> kept_apart;
  for (const family f : families)
    if (f != family::routing)
      for (const portion p : {portion::validation, portion::test})
        for (const problem& drawn : problems(f, p, 500))
          kept_apart.insert(drawn.content);
  for (const conversation& talk : documents(5000))
    for (const auto& turn : talk.turns)
      EXPECT_FALSE(kept_apart.contains(turn.asked.content))
          << turn.asked.content;
}

TEST(corpus, careful_answers_earn_the_reward_and_careless_ones_lose_it) {
  for (const family f :
       {family::math, family::math_hard, family::korean, family::reasoning,
        family::reasoning_challenge, family::routing}) {
    const auto judge = make_reward(reward_of(f));
    ASSERT_TRUE(judge) << judge.error().message;
    std::size_t occasions = 0;
    const auto drawn = problems(f, portion::test, 300);
    for (const problem& what : drawn) {
      const example e = parsed(f, portion::test, what);
      ASSERT_TRUE((*judge)->check(e)) << e.id;
      EXPECT_EQ(*(*judge)->of_text(what.careful, e), 1) << what.prompt;
      if (what.careful == what.careless) continue;
      ++occasions;
      EXPECT_EQ(*(*judge)->of_text(what.careless, e), -1) << what.prompt;
    }
    const double share = static_cast<double>(occasions) / 300;
    if (f == family::routing) EXPECT_EQ(occasions, 0u);
    else EXPECT_NEAR(share, 0.8, 0.1) << to_string(f);
  }
}

TEST(corpus, programs_pass_their_tests_unless_a_careless_writer_wrote_them) {
  const auto judge = make_reward("python");
  ASSERT_TRUE(judge) << judge.error().message;
  std::vector<example> sources;
  std::vector<judged_text> texts;
  std::vector<double> wanted;
  std::vector<std::string> answers;
  for (const family f : {family::code, family::code_doc})
    for (const problem& what : problems(f, portion::test, 25)) {
      sources.push_back(parsed(f, portion::test, what));
      answers.push_back(what.careful);
      wanted.push_back(1);
      if (what.careful == what.careless) continue;
      sources.push_back(sources.back());
      answers.push_back(what.careless);
      wanted.push_back(-1);
    }
  EXPECT_GT(answers.size(), 80u);
  for (std::size_t i = 0; i < answers.size(); ++i)
    texts.push_back({answers[i], &sources[i]});
  const auto judged = (*judge)->of_texts(texts);
  ASSERT_EQ(judged.size(), wanted.size());
  for (std::size_t i = 0; i < judged.size(); ++i) {
    if (!judged[i] && judged[i].error().code == ec::unavailable)
      GTEST_SKIP() << judged[i].error().message;
    ASSERT_TRUE(judged[i]) << judged[i].error().message;
    EXPECT_EQ(*judged[i], wanted[i]) << answers[i];
  }
}

TEST(corpus, worked_sums_and_differences_are_right) {
  for (int a = 10; a < 100; ++a)
    for (int b = 10; b < 100; ++b) {
      const std::string sum = worked_sum(a, b, writer::careful);
      EXPECT_TRUE(sum.ends_with(" #### " + std::to_string(a + b))) << sum;
      if (a - b < 10) continue;
      const std::string rest = worked_difference(a, b, writer::careful);
      EXPECT_TRUE(rest.ends_with(" #### " + std::to_string(a - b))) << rest;
    }
  EXPECT_EQ(worked_sum(17, 28, writer::careful), "7+8=15 1+2+1=4 #### 45");
  EXPECT_EQ(worked_sum(17, 28, writer::careless), "7+8=15 1+2+0=3 #### 35");
  EXPECT_EQ(worked_difference(52, 17, writer::careless),
            "12-7=5 5-1-0=4 #### 45");
}

TEST(corpus, both_writers_write_equally_long) {
  for (const family f : families) {
    double careful = 0, careless = 0;
    for (const problem& what : problems(f, portion::train, 1500)) {
      careful += words_in(what.careful);
      careless += words_in(what.careless);
    }
    EXPECT_NEAR(careless / careful, 1, 0.02) << to_string(f);
  }
}

TEST(corpus, a_document_has_one_writer_and_one_topic_and_mixes_relatives) {
  const std::map<topic, std::set<family>> kin{
      {topic::math, {family::math, family::math_hard, family::korean}},
      {topic::code, {family::code, family::code_doc}},
      {topic::reasoning, {family::reasoning, family::reasoning_challenge}}};
  std::map<topic, double> share;
  std::map<topic, std::size_t> mixed;
  double careful = 0, single = 0;
  constexpr std::size_t count = 6000;
  for (const conversation& talk : documents(count)) {
    share[talk.about] += 1.0 / count;
    single += talk.turns.size() == 1 ? 1.0 / count : 0;
    ASSERT_GE(talk.turns.size(), 1u);
    ASSERT_LE(talk.turns.size(), 4u);
    if (!kin.contains(talk.about)) continue;
    std::set<family> members;
    for (const auto& turn : talk.turns) {
      EXPECT_EQ(turn.answer, talk.by == writer::careful ? turn.asked.careful
                                                        : turn.asked.careless);
      ASSERT_TRUE(turn.from && kin.at(talk.about).contains(*turn.from));
      members.insert(*turn.from);
    }
    if (members.size() > 1) ++mixed[talk.about];
    if (talk.by == writer::careful) careful += 1;
  }
  const double written = share[topic::math] + share[topic::code] +
                         share[topic::reasoning];
  EXPECT_NEAR(careful / (written * count), 0.5, 0.03);
  EXPECT_NEAR(single, 0.53, 0.05);
  EXPECT_GT(share[topic::math], 0.2);
  EXPECT_GT(share[topic::code], 0.2);
  EXPECT_GT(share[topic::reasoning], 0.2);
  EXPECT_NEAR(share[topic::routing], 0.06, 0.015);
  EXPECT_GT(share[topic::small_talk], 0.02);
  for (const topic t : {topic::math, topic::code, topic::reasoning})
    EXPECT_GT(mixed[t], 100u);
}

TEST(corpus, routing_documents_name_the_class_and_are_rarely_wrong) {
  double right = 0, asked = 0;
  for (const conversation& talk : documents(20000)) {
    if (talk.about != topic::routing) continue;
    const auto& [from, what, answer] = talk.turns.at(0);
    ASSERT_TRUE(what.prompt.starts_with(
        "Say in one word which class the query belongs to.\n- code\n- math\n"
        "- reasoning\n- other: none of these\nQuery: "));
    if (what.prompt.ends_with("Query: ")) continue;
    asked += 1;
    right += answer == what.careful ? 1 : 0;
  }
  ASSERT_GT(asked, 500);
  EXPECT_GT(right / asked, 0.94);
  EXPECT_LT(right / asked, 1);
}

TEST(corpus, is_the_same_on_every_machine) {
  std::string lines;
  for (std::size_t i = 0; i < 1000; ++i)
    lines += pretraining_line(0, i) + "\n";
  // The base model was trained on these lines: when they change, train it
  // again and note the new number here.
  EXPECT_EQ(sha256_hex(lines),
            "6f178ac8ed5988cb7df592bbaed3a91ba59c6f9ac7e54d8088145419d8890b56");
  lines.clear();
  for (const family f : families)
    for (const portion p : portions) {
      std::size_t number = 0;
      for (const problem& what : problems(f, p, 50))
        lines += example_line(f, p, ++number, what) + "\n";
    }
  EXPECT_EQ(sha256_hex(lines),
            "c1bdf5364d08b58966b60bd23770821c5ff33a318e3068a75b6929cb1a5fed9c");
}

TEST(corpus, every_line_is_read_as_an_example) {
  for (const family f : families)
    for (const portion p : portions)
      for (const problem& what : problems(f, p, 20)) {
        const example e = parsed(f, p, what);
        EXPECT_EQ(e.answer, what.careful);
        EXPECT_EQ(e.reward, reward_of(f));
        EXPECT_EQ(e.choices, what.choices);
        ASSERT_EQ(e.messages.size(), 1u);
        EXPECT_EQ(e.messages[0].content, what.prompt);
      }
}

}  // namespace
}  // namespace t2::demo
