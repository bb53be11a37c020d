#include "model/sampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace t2 {
namespace {

std::vector<float> example_logits() {
  return {2.f, 1.f, 0.5f, -1.f, 0.f, 1.5f, -3.f, 0.2f};
}

std::vector<double> softmax(const std::vector<float>& x, double temperature) {
  std::vector<double> p;
  double sum = 0;
  for (const float v : x) {
    p.push_back(std::exp(static_cast<double>(v) / temperature));
    sum += p.back();
  }
  for (auto& v : p) v /= sum;
  return p;
}

/// Frequencies of 20,000 draws at as many positions.
std::vector<double> draw(const sampling_options& options,
                         std::vector<token_id> history = {}) {
  std::vector<double> counts(8);
  for (int i = 0; i < 20000; ++i) {
    auto logits = example_logits();
    counts[static_cast<std::size_t>(
        sample_token(logits, history, options, 3, i)->token)] += 1. / 20000;
  }
  return counts;
}

TEST(sampling, draws_with_the_softmaxs_frequencies) {
  for (const float temperature : {0.5f, 1.f, 2.f}) {
    const auto found = draw({.temperature = temperature, .seed = 9});
    const auto expected =
        softmax(example_logits(), static_cast<double>(temperature));
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 0.015);
  }
}

TEST(sampling, filters_keep_the_tokens_that_a_naive_filter_keeps) {
  const auto p = softmax(example_logits(), 1);
  // By probability: 0, 5, 1, 2, 7, 4, 3, 6.
  const auto kept = [&](sampling_options o) {
    o.temperature = 1;
    std::vector<int> tokens;
    const auto found = draw(o);
    for (int i = 0; i < 8; ++i)
      if (found[static_cast<std::size_t>(i)] > 0) tokens.push_back(i);
    return tokens;
  };
  EXPECT_EQ(kept({.top_k = 3}), (std::vector<int>{0, 1, 5}));
  EXPECT_EQ(kept({.top_p = static_cast<float>(p[0] + p[5] - 0.01)}),
            (std::vector<int>{0, 5}));
  EXPECT_EQ(kept({.top_p = static_cast<float>(p[0] + p[5] + 0.01)}),
            (std::vector<int>{0, 1, 5}));
  EXPECT_EQ(kept({.min_p = static_cast<float>(p[2] / p[0] - 0.001)}),
            (std::vector<int>{0, 1, 2, 5}));
}

// Most of the mass lies deep, where the ranking is sorted last.
TEST(sampling, draws_from_the_depth_as_often_as_from_the_top) {
  constexpr std::size_t many = 30000;
  std::vector<float> logits(many, -8.f);
  logits[17] = 0;
  const double deep = std::exp(-8.) * (many - 1);
  int top = 0;
  for (int i = 0; i < 2000; ++i) {
    auto scratch = logits;
    top += sample_token(scratch, {}, {.temperature = 1, .seed = 2}, 0, i)
               ->token == 17;
  }
  EXPECT_NEAR(top / 2000., 1 / (1 + deep), 0.03);
}

TEST(sampling, filters_of_a_large_vocabulary_keep_what_a_full_sort_keeps) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 4);
  std::vector<float> logits(2000);
  for (auto& x : logits) x = normal(random);
  std::vector<token_id> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater{}, [&](token_id t) {
    return logits[static_cast<std::size_t>(t)];
  });
  const float temperature = 1.7f;
  const auto p = softmax(logits, static_cast<double>(temperature));
  const auto naive = [&](const sampling_options& o) {
    std::vector<token_id> kept = order;
    if (o.top_k > 0) kept.resize(static_cast<std::size_t>(o.top_k));
    double total = 0, mass = 0;
    for (const auto t : kept) total += p[static_cast<std::size_t>(t)];
    std::size_t n = 0;
    while (n < kept.size() && mass < static_cast<double>(o.top_p) * total)
      mass += p[static_cast<std::size_t>(kept[n++])];
    kept.resize(n);
    while (kept.size() > 1 &&
           p[static_cast<std::size_t>(kept.back())] <
               static_cast<double>(o.min_p) *
                   p[static_cast<std::size_t>(kept.front())])
      kept.pop_back();
    return std::set<token_id>(kept.begin(), kept.end());
  };
  for (sampling_options o :
       {sampling_options{.top_k = 12}, sampling_options{.top_p = 0.5f},
        sampling_options{.min_p = 0.05f}, sampling_options{.top_p = 0.01f},
        sampling_options{.top_k = 40, .top_p = 0.6f, .min_p = 0.02f}}) {
    o.temperature = temperature;
    std::set<token_id> drawn;
    for (int i = 0; i < 20000; ++i) {
      auto scratch = logits;
      drawn.insert(sample_token(scratch, {}, o, 1, i)->token);
    }
    EXPECT_EQ(drawn, naive(o));
  }
}

TEST(sampling, refuses_logits_that_are_not_finite) {
  for (const float strange : {NAN, INFINITY, -INFINITY})
    for (const std::size_t at : {0u, 5u, 20u, 37u})
      for (const float temperature : {0.f, 1.f}) {
        std::vector<float> logits(40, 0.5f);
        logits[at] = strange;
        const auto drawn =
            sample_token(logits, {}, {.temperature = temperature}, 0, 0);
        ASSERT_FALSE(drawn);
        EXPECT_EQ(drawn.error().code, ec::internal);
      }
  std::vector<float> nothing(40, NAN);
  EXPECT_FALSE(sample_token(nothing, {}, {.temperature = 1}, 0, 0));
}

TEST(sampling, the_penalty_lowers_what_was_said) {
  auto logits = example_logits();
  const std::vector<token_id> history{0, 0, 3};
  const auto greedy = sample_token(logits, history, {.repetition_penalty = 2}, 0, 0);
  EXPECT_EQ(greedy->token, 5);  // 2 / 2 = 1 is below 1.5
}

TEST(sampling, reports_the_unfiltered_likelihood) {
  const auto p = softmax(example_logits(), 1);
  for (int i = 0; i < 50; ++i) {
    auto logits = example_logits();
    const auto drawn =
        sample_token(logits, {},
               {.temperature = 0.7f, .top_k = 4, .repetition_penalty = 1.3f},
               1, i);
    EXPECT_NEAR(static_cast<double>(drawn->log_probability),
                std::log(p[static_cast<std::size_t>(drawn->token)]), 1e-5);
  }
}

TEST(sampling, presence_and_frequency_count_the_answer_alone) {
  // By OpenAI's formula: x - [c > 0] presence - c frequency. Token 0 stands in
  // the prompt too, twice, which must not count.
  const std::vector<token_id> history{0, 0, 0, 5, 5, 1};
  const sampling_options options{.presence_penalty = 0.5f,
                                 .frequency_penalty = 0.25f,
                                 .answer_begin = 2};
  auto expected = example_logits();
  const std::map<token_id, int> counts{{0, 1}, {5, 2}, {1, 1}};
  for (const auto& [token, count] : counts)
    expected[static_cast<std::size_t>(token)] -=
        0.5f + 0.25f * static_cast<float>(count);
  const auto p = softmax(expected, 1);
  sampling_options drawn = options;
  drawn.temperature = 1;
  const auto found = draw(drawn, history);
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], p[i], 0.015);
  // Greedily: 2 - 0.75 = 1.25 stays above 1.5 - 1 and 1 - 0.75.
  auto logits = example_logits();
  EXPECT_EQ(sample_token(logits, history, options, 0, 0)->token, 0);
  logits = example_logits();
  EXPECT_EQ(sample_token(logits, history,
                         {.presence_penalty = 2, .answer_begin = 2}, 0, 0)
                ->token,
            2);  // 0.5: all that were said lie below
}

TEST(sampling, a_bias_moves_the_draw_and_not_the_likelihood) {
  const auto p = softmax(example_logits(), 1);
  auto logits = example_logits();
  const auto forced = sample_token(
      logits, {}, {.logit_bias = {{6, 100.f}, {9999, 100.f}}}, 0, 0);
  EXPECT_EQ(forced->token, 6);
  EXPECT_NEAR(static_cast<double>(forced->log_probability), std::log(p[6]),
              1e-5);
  const auto found =
      draw({.temperature = 1, .logit_bias = {{0, -100.f}, {3, 1.f}}});
  auto shifted = example_logits();
  shifted[0] -= 100;
  shifted[3] += 1;
  const auto expected = softmax(shifted, 1);
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 0.015);
}

TEST(sampling, tells_the_likeliest_tokens_whatever_is_drawn) {
  const auto p = softmax(example_logits(), 1);
  // By probability: 0, 5, 1, 2, 7, 4, 3, 6.
  for (const float temperature : {0.f, 3.f}) {
    auto logits = example_logits();
    const auto drawn = sample_token(logits, {},
                                    {.temperature = temperature,
                                     .logit_bias = {{6, 100.f}},
                                     .top_log_probabilities = 4},
                                    0, 0);
    EXPECT_EQ(drawn->token, 6);
    ASSERT_EQ(drawn->alternatives.size(), 4u);
    const std::vector<token_id> best{0, 5, 1, 2};
    for (std::size_t i = 0; i < best.size(); ++i) {
      EXPECT_EQ(drawn->alternatives[i].token, best[i]);
      EXPECT_NEAR(static_cast<double>(drawn->alternatives[i].log_probability),
                  std::log(p[static_cast<std::size_t>(best[i])]), 1e-5);
    }
  }
  auto logits = example_logits();
  EXPECT_EQ(sample_token(logits, {}, {.top_log_probabilities = 20}, 0, 0)
                ->alternatives.size(),
            8u);
  logits = example_logits();
  EXPECT_TRUE(sample_token(logits, {}, {}, 0, 0)->alternatives.empty());
}

TEST(sampling, equal_coordinates_repeat_a_draw_and_others_do_not) {
  const sampling_options options{.temperature = 1, .seed = 4};
  int equal = 0;
  for (int i = 0; i < 200; ++i) {
    auto a = example_logits(), b = example_logits(), c = example_logits();
    const auto first = sample_token(a, {}, options, 7, i);
    EXPECT_EQ(first->token, sample_token(b, {}, options, 7, i)->token);
    equal += first->token == sample_token(c, {}, options, 8, i)->token;
  }
  EXPECT_LT(equal, 100);
}

TEST(sampling, refuses_nonsense) {
  EXPECT_TRUE(sampling_options{}.validate());
  EXPECT_FALSE((sampling_options{.temperature = -1}.validate()));
  EXPECT_FALSE((sampling_options{.temperature = NAN}.validate()));
  EXPECT_FALSE((sampling_options{.top_k = -1}.validate()));
  EXPECT_TRUE((sampling_options{.top_p = 0}.validate()));
  EXPECT_FALSE((sampling_options{.top_p = -0.1f}.validate()));
  EXPECT_FALSE((sampling_options{.min_p = 2}.validate()));
  EXPECT_FALSE((sampling_options{.repetition_penalty = 0}.validate()));
  EXPECT_FALSE((sampling_options{.max_tokens = 0}.validate()));
  EXPECT_FALSE((sampling_options{.presence_penalty = 2.5f}.validate()));
  EXPECT_FALSE((sampling_options{.frequency_penalty = NAN}.validate()));
  EXPECT_FALSE((sampling_options{.logit_bias = {{1, 101.f}}}.validate()));
  EXPECT_FALSE((sampling_options{.logit_bias = {{-1, 1.f}}}.validate()));
  EXPECT_FALSE((sampling_options{.top_log_probabilities = 21}.validate()));
}

// What seeds mean is promised: of 1024 equal tokens the one at 1024 u, u from
// tests/make_random_streams.py.
TEST(sampling, draws_the_same_tokens_on_every_machine) {
  constexpr auto last = std::numeric_limits<std::uint64_t>::max();
  const struct {
    std::uint64_t seed, sequence;
    std::int64_t position;
    token_id token;
  } fixed[]{{0, 0, 0, 142},   {9, 3, 0, 348},     {9, 3, 1, 584},
            {9, 4, 1, 649},   {79, 0, 4095, 832}, {last, last, 7, 696}};
  for (const auto& one : fixed) {
    std::vector<float> logits(1024, 0.f);
    EXPECT_EQ(sample_token(logits, {},
                           {.temperature = 1, .seed = one.seed}, one.sequence,
                           one.position)
                  ->token,
              one.token);
  }
}

}  // namespace
}  // namespace t2
