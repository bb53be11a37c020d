#include "adaptation/few_shot_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/adaptation/synthetic_task.hpp"

namespace t2 {
namespace {

using nlohmann::json;

// Every shot likes some of expert 0 and none of the others.
double helped(std::size_t shot, const candidate& alpha) {
  double value = -3 - 0.1 * static_cast<double>(shot);
  for (std::size_t k = 0; k < alpha.size(); ++k) {
    const double best = k == 0 ? 0.8 : 0;
    value += best * best - (alpha[k] - best) * (alpha[k] - best);
  }
  return value;
}

double harmed(std::size_t, const candidate& alpha) {
  double value = -3;
  for (const float a : alpha) value -= a + a * a;
  return value;
}

TEST(few_shot_search, finds_the_mixture_that_helps) {
  synthetic_task task{3, 5};
  const auto out = task.run({}, helped);
  ASSERT_TRUE(out.accepted) << out.reason;
  EXPECT_FALSE(out.truncated);
  const auto delta = task.pool->compose(out.found);
  ASSERT_TRUE(delta);
  const auto alpha = task.alpha_of(*delta);
  EXPECT_NEAR(alpha[0], 0.8, 0.05);
  EXPECT_NEAR(alpha[1], 0, 0.05);
  EXPECT_NEAR(alpha[2], 0, 0.05);
  EXPECT_EQ(out.delta->digest(), (*delta)->digest());
  const auto scores = json::parse(out.scores);
  EXPECT_NEAR(scores["base"]["log_likelihood"], -3.2, 1e-5);
  EXPECT_NEAR(scores["best"]["log_likelihood"], -3.2 + 0.64, 0.01);
  EXPECT_GT(scores["held_out"]["gain"], 0.5);
}

TEST(few_shot_search, keeps_the_base_where_every_expert_harms) {
  synthetic_task task{3, 5};
  const auto out = task.run({}, harmed);
  EXPECT_FALSE(out.accepted);
  EXPECT_TRUE(out.found.is_base());
  EXPECT_EQ(out.delta, nullptr);
}

TEST(few_shot_search, finds_the_same_twice_and_in_any_cut_of_its_stream) {
  synthetic_task whole{3, 4}, cut{3, 4}, again{3, 4};
  few_shot_options options{.iterations = 4, .seed = 9};
  const auto a = whole.run(options, helped);
  const auto b = again.run(options, helped);
  options.delta_bytes = 3 * whole.layout->total() * 4;
  const auto c = cut.run(options, helped);
  EXPECT_EQ(to_json(a.found), to_json(b.found));
  EXPECT_EQ(to_json(a.found), to_json(c.found));
  EXPECT_EQ(a.scores, c.scores);
  EXPECT_LE(cut.most_rows, 3u * 4u);
  EXPECT_GT(whole.most_rows, 32u * 4u);
}

TEST(few_shot_search, counts_the_tokens_that_it_asked_for) {
  synthetic_task task{2, 4};
  const auto out = task.run({.iterations = 3}, helped);
  EXPECT_EQ(json::parse(out.cost)["tokens"], task.scored_tokens);
}

TEST(few_shot_search, stops_before_its_token_budget_at_a_definite_place) {
  few_shot_options options{.iterations = 50, .tokens = 6000};
  synthetic_task task{2, 4}, again{2, 4};
  const auto a = task.run(options, helped), b = again.run(options, helped);
  EXPECT_LE(task.scored_tokens, 6000);
  EXPECT_GT(task.scored_tokens, 4000);
  EXPECT_FALSE(a.truncated);
  EXPECT_EQ(to_json(a.found), to_json(b.found));
  EXPECT_LT(json::parse(a.cost)["iterations"], 50);
}

TEST(few_shot_search, refuses_a_token_budget_below_one_population) {
  synthetic_task task{2, 4};
  const auto made = few_shot_search::make(
      task.pool, task.shots, *make_reward("logprob"), {.tokens = 100});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::exhausted);
}

TEST(few_shot_search, decides_by_what_it_knows_when_its_seconds_are_over) {
  synthetic_task task{3, 5};
  steady_time now{};
  auto search = few_shot_search::make(
      task.pool, task.shots, *make_reward("logprob"),
      {.iterations = 100, .seconds = 10}, [&] { return now; });
  ASSERT_TRUE(search);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(task.step(**search, helped));
    now += std::chrono::seconds(3);
  }
  EXPECT_TRUE(
      std::holds_alternative<search_done>((*search)->next()));
  const auto out = (*search)->outcome();
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->truncated);
  EXPECT_TRUE(out->accepted) << out->reason;
  EXPECT_EQ(json::parse(out->cost)["seconds"], 12.0);
}

TEST(few_shot_search, that_expires_before_its_first_score_keeps_the_base) {
  synthetic_task task{3, 5};
  auto search = few_shot_search::make(task.pool, task.shots,
                                      *make_reward("logprob"), {});
  (*search)->next();
  (*search)->expire();
  const auto out = (*search)->outcome();
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->truncated);
  EXPECT_FALSE(out->accepted);
}

TEST(few_shot_search, ends_when_it_is_cancelled) {
  synthetic_task task{3, 5};
  auto search = few_shot_search::make(task.pool, task.shots,
                                      *make_reward("logprob"), {});
  task.step(**search, helped);
  EXPECT_FALSE((*search)->outcome());
  (*search)->cancel();
  EXPECT_TRUE(std::holds_alternative<search_done>((*search)->next()));
  ASSERT_FALSE((*search)->outcome());
  EXPECT_EQ((*search)->outcome().error().code, ec::cancelled);
}

TEST(few_shot_search, refuses_results_that_it_did_not_ask_for) {
  synthetic_task task{3, 5};
  auto search = few_shot_search::make(task.pool, task.shots,
                                      *make_reward("logprob"), {});
  EXPECT_FALSE((*search)->tell(std::vector<row_score>(1)));
  (*search)->next();
  EXPECT_FALSE((*search)->tell(std::vector<row_score>(1)));
  EXPECT_FALSE((*search)->tell(std::vector<search_answer>(1)));
  EXPECT_TRUE(task.step(**search, helped));
}

TEST(few_shot_search, wants_an_example_and_sound_options) {
  synthetic_task two{3, 2};
  EXPECT_FALSE(
      few_shot_search::make(two.pool, {}, *make_reward("logprob"), {}));
  for (const few_shot_options& wrong :
       {few_shot_options{.optimiser = "sgd"}, few_shot_options{.population = 1},
        few_shot_options{.elite = NAN}, few_shot_options{.folds = 1},
        few_shot_options{.iterations = 0}})
    EXPECT_FALSE(few_shot_search::make(two.pool, two.shots,
                                       *make_reward("logprob"), wrong));
}

// The likeliest mixture (0.8) answers wrongly, a less likely one rightly.
TEST(few_shot_search, puts_reward_before_likelihood) {
  synthetic_task task{1, 4};
  const auto says = [](std::size_t, const candidate& alpha) {
    return std::string{alpha[0] > 0.3 && alpha[0] < 0.6 ? "right" : "wrong"};
  };
  const auto out = task.run({.iterations = 1, .survivors = 32}, helped,
                            "exact", says);
  ASSERT_TRUE(out.accepted) << out.reason << out.scores;
  EXPECT_LT(out.found.components[0].alpha[0], 0.6f);
  EXPECT_GT(out.found.components[0].alpha[0], 0.3f);
  EXPECT_EQ(json::parse(out.scores)["best"]["reward"], 1.0);
  EXPECT_EQ(json::parse(out.scores)["base"]["reward"], -1.0);
}

// What the task asks for decides: answers become right, references unlikelier.
TEST(few_shot_search, believes_a_rise_in_reward_against_the_likelihood) {
  synthetic_task task{1, 5};
  const auto says = [](std::size_t, const candidate& alpha) {
    return std::string{alpha[0] > 0.3 ? "right" : "wrong"};
  };
  const few_shot_options options{.iterations = 1, .survivors = 32};
  const auto out = task.run(options, harmed, "exact", says);
  EXPECT_TRUE(out.accepted) << out.reason << out.scores;
  EXPECT_LT(json::parse(out.scores)["held_out"]["gain"], 0.0);

  // One of five answers is no evidence.
  synthetic_task other{1, 5};
  const auto seldom = [](std::size_t shot, const candidate& alpha) {
    return std::string{alpha[0] > 0.3 && shot == 0 ? "right" : "wrong"};
  };
  EXPECT_FALSE(other.run(options, harmed, "exact", seldom).accepted);
}

TEST(few_shot_search, generates_for_the_survivors_alone) {
  synthetic_task task{2, 4};
  const auto says = [](std::size_t, const candidate&) {
    return std::string{"right"};
  };
  const auto out =
      task.run({.iterations = 5, .survivors = 2}, helped, "exact", says);
  EXPECT_TRUE(out.accepted);
  // The base and 2 and a control of each of 5 selections at most, times 4 shots.
  EXPECT_LE(task.generated, (1u + 5u * 3u) * 4u);
}

TEST(few_shot_search, keeps_the_base_where_the_reward_falls) {
  synthetic_task task{1, 4};
  const auto says = [](std::size_t, const candidate& alpha) {
    return std::string{alpha[0] == 0 ? "right" : "wrong"};
  };
  const auto out = task.run({.iterations = 3}, helped, "exact", says);
  EXPECT_FALSE(out.accepted);
}

TEST(few_shot_search, judges_choices_by_their_likelihood) {
  synthetic_task task{1, 3};
  for (std::size_t i = 0; i < task.shots.size(); ++i) {
    search_shot& shot = task.shots[i];
    shot.source.choices = {"left", "right"};
    for (token_id c = 0; c < 2; ++c) {
      scoring_row row = shot.reference;
      row.tokens[0] = static_cast<token_id>(100 * (c + 1) + static_cast<int>(i));
      shot.choices.push_back(row);
    }
  }
  // "left" is likelier until α passes 0.5.
  const auto of = [](std::size_t shot, const candidate& alpha) {
    if (shot >= 200) return -1.5 + alpha[0];
    if (shot >= 100) return -1.0;
    return helped(shot, alpha);
  };
  const auto out = task.run({.iterations = 3}, of, "choice");
  ASSERT_TRUE(out.accepted) << out.reason << out.scores;
  EXPECT_GT(out.found.components[0].alpha[0], 0.5f);
  EXPECT_EQ(task.generated, 0u);
}

TEST(few_shot_search, random_search_pays_nothing_for_cross_fitting) {
  synthetic_task task{2, 4};
  const auto out =
      task.run({.optimiser = "random", .iterations = 4}, helped);
  EXPECT_TRUE(out.accepted);
  // And a control for each winner.
  EXPECT_LE(json::parse(out.cost)["candidates"], 4 * 32 + 5);
}

TEST(few_shot_search, survives_mixtures_that_cannot_be_built) {
  synthetic_task task{1, 3};
  auto nuclear = std::make_shared<expert>(*task.pool->experts()[0]);
  nuclear->norm = svf_norm::nuclear;
  task.pool = std::make_shared<expert_pool>(
      *expert_pool::make({nuclear}, task.layout, task.s));
  // α is 0 for many draws, which under paper is no mixture at all.
  const auto out = task.run({.sigma = 5,
                             .iterations = 2,
                             .rule = mixture_rule::paper},
                            harmed);
  EXPECT_FALSE(out.accepted);
}

// The answer has two tokens: twice the gain in nats.
TEST(few_shot_search, believes_one_example_only_against_great_odds) {
  const auto gaining = [](double nats) {
    return [nats](std::size_t, const candidate& alpha) {
      return -5 + (alpha[1] > 0.5 ? nats / 2 : 0.0);
    };
  };
  const double needed = std::log(3 / 0.05);
  synthetic_task weak{3, 1}, strong{3, 1};
  const auto doubted = weak.run({}, gaining(needed - 0.1));
  EXPECT_FALSE(doubted.accepted);
  EXPECT_NE(doubted.reason.find("too little evidence"), std::string::npos);
  const auto believed = strong.run({}, gaining(needed + 0.1));
  ASSERT_TRUE(believed.accepted) << believed.reason;
  EXPECT_EQ(believed.found.components[0].expert, "e1");
  EXPECT_EQ(believed.found.components[0].alpha[0], 1.0f);
  const auto scores = json::parse(believed.scores);
  EXPECT_NEAR(scores["evidence"]["nats"], needed + 0.1, 1e-4);
  EXPECT_NEAR(scores["evidence"]["needed"], needed, 1e-9);
  // Three experts, and the control of the best.
  EXPECT_EQ(json::parse(believed.cost)["candidates"], 4);
}

// Copies are no evidence, whatever they differ in that is not asked.
TEST(few_shot_search, counts_copies_of_one_example_as_one) {
  const double needed = std::log(3 / 0.05);
  for (const double nats : {needed - 0.1, needed + 0.1}) {
    const auto gaining = [nats](std::size_t, const candidate& alpha) {
      return -5 + (alpha[1] > 0.5 ? nats / 2 : 0.0);
    };
    synthetic_task once{3, 1}, often{3, 1};
    often.copy_shots(4);
    often.shots[1].source.id = "other";
    often.shots[2].source.prompt = " Question\n0 ";
    often.shots[3].source.answer = "another";
    const auto alone = once.run({}, gaining), copies = often.run({}, gaining);
    EXPECT_EQ(copies.accepted, alone.accepted) << nats;
    EXPECT_EQ(copies.reason, alone.reason);
    const auto scores = json::parse(copies.scores);
    EXPECT_NEAR(scores["evidence"]["nats"], nats, 1e-4);
    EXPECT_EQ(scores["shots"], 4);
    EXPECT_EQ(scores["prompts"], 1);
  }
}

// Two answers to one prompt are the evidence of one answer, whole by whole.
TEST(few_shot_search, weighs_the_answers_to_its_only_prompt_by_their_tokens) {
  synthetic_task task{3, 1};
  task.copy_shots(2);
  task.shots[1].reference.tokens = {1, 1, 2, 3, 4, 5, 6, 7};  // 6 of an answer
  const auto out = task.run({}, [](std::size_t shot, const candidate& alpha) {
    return -5 + (alpha[1] > 0.5 ? static_cast<double>(shot) + 1 : 0.0);
  });
  // (2 tokens · 1 nat + 6 tokens · 2 nats) / 2 answers
  EXPECT_NEAR(json::parse(out.scores)["evidence"]["nats"], 7, 1e-4);
}

// A search among copies is the search among what they are copies of: folds,
// standard errors, the find.
TEST(few_shot_search, finds_and_doubts_the_same_among_copies) {
  const auto doubtful = [](std::size_t shot, const candidate& alpha) {
    return -3 + (shot == 0 ? 1.0 : -0.05) * double{alpha[0]} -
           0.1 * double{alpha[0]} * double{alpha[0]};
  };
  const std::vector<synthetic_task::likelihood> tasks{helped, doubtful};
  for (const auto& of : tasks)
    for (const std::int64_t folds : {0, 2, 3}) {
      const few_shot_options options{.iterations = 4, .folds = folds};
      synthetic_task once{2, 5}, often{2, 5};
      often.copy_shots(4);
      const auto alone = once.run(options, of), copies = often.run(options, of);
      EXPECT_EQ(copies.accepted, alone.accepted);
      EXPECT_EQ(to_json(copies.found), to_json(alone.found));
      const auto a = json::parse(alone.scores), b = json::parse(copies.scores);
      EXPECT_EQ(b["held_out"], a["held_out"]);
      EXPECT_EQ(b["best"], a["best"]);
      EXPECT_EQ(b["shots"], 20);
      EXPECT_EQ(b["prompts"], 5);
    }
}

/// A task whose references are two words, taking turns.
synthetic_task two_words(std::size_t experts, std::size_t count) {
  synthetic_task task{experts, count};
  for (std::size_t i = 0; i < count; ++i)
    task.shots[i].source.answer = i % 2 ? "no" : "yes";
  return task;
}

// The base says neither word: the reward rises wherever one word is said.
TEST(few_shot_search, does_not_believe_a_mixture_that_says_one_word_to_all) {
  for (std::size_t shots = 4; shots <= 10; ++shots) {
    auto task = two_words(1, shots);
    const auto says = [](std::size_t, const candidate& alpha) {
      return std::string{alpha[0] > 0.3 ? "yes" : "well"};
    };
    const auto out =
        task.run({.iterations = 2, .survivors = 32}, helped, "exact", says);
    EXPECT_FALSE(out.accepted) << shots;
    EXPECT_NE(out.reason.find("always answering 'yes'"), std::string::npos)
        << out.reason;
    const auto scores = json::parse(out.scores);
    EXPECT_EQ(scores["reason"], out.reason);
    EXPECT_EQ(scores["best"]["answers"][0]["answer"], "yes");
    EXPECT_EQ(scores["best"]["answers"][0]["count"], shots);
    EXPECT_EQ(scores["base"]["right"], 0);
    EXPECT_GT(scores["held_out"]["reward"], scores["held_out"]["base_reward"]);
  }
}

// Examples of one class cannot know whether the task has another: the mixture is
// taken, and what it may be is said.
TEST(few_shot_search, says_where_its_examples_cannot_tell_a_constant) {
  const auto says = [](std::size_t, const candidate& alpha) {
    return std::string{alpha[0] > 0.3 ? "yes" : "well"};
  };
  const few_shot_options options{.iterations = 2, .survivors = 32};
  synthetic_task one_word{1, 5}, told_apart{1, 5};
  for (auto& shot : one_word.shots) shot.source.answer = "yes";
  const auto out = one_word.run(options, helped, "exact", says);
  EXPECT_TRUE(out.accepted) << out.reason;
  EXPECT_NE(out.reason.find("do not tell it from always answering 'yes'"),
            std::string::npos)
      << out.reason;
  EXPECT_EQ(json::parse(out.scores)["reason"], out.reason);
  // Answers that are all different need no such word.
  for (std::size_t i = 0; i < 5; ++i)
    told_apart.shots[i].source.answer = std::to_string(i);
  const auto right = [](std::size_t shot, const candidate& alpha) {
    return alpha[0] > 0.3 ? std::to_string(shot) : "well";
  };
  const auto known = told_apart.run(options, helped, "exact", right);
  EXPECT_TRUE(known.accepted) << known.reason;
  EXPECT_EQ(known.reason.find("always"), std::string::npos) << known.reason;
}

TEST(few_shot_search, believes_a_mixture_that_tells_two_words_apart) {
  for (std::size_t shots = 4; shots <= 10; ++shots) {
    auto task = two_words(1, shots);
    const auto says = [](std::size_t shot, const candidate& alpha) {
      return std::string{alpha[0] > 0.3 ? (shot % 2 ? "no" : "yes") : "well"};
    };
    const auto out =
        task.run({.iterations = 2, .survivors = 32}, helped, "exact", says);
    EXPECT_TRUE(out.accepted) << shots << out.reason << out.scores;
    EXPECT_EQ(json::parse(out.scores)["best"]["right"], shots);
  }
}

// Likelihood may be enough where the reward does not fall; that nothing is
// right is said.
TEST(few_shot_search, says_where_no_example_is_answered_right) {
  const auto wrong = [](std::size_t, const candidate&) {
    return std::string{"wrong"};
  };
  synthetic_task task{2, 5}, hopeless{2, 5}, verified{2, 5};
  const few_shot_options options{.iterations = 3};
  const std::string said = "no example is answered right, before or after";
  const auto out = task.run(options, helped, "exact", wrong);
  EXPECT_TRUE(out.accepted) << out.reason;
  EXPECT_NE(out.reason.find("in likelihood alone; " + said), std::string::npos)
      << out.reason;
  const auto refused = hopeless.run(options, harmed, "exact", wrong);
  EXPECT_FALSE(refused.accepted);
  EXPECT_NE(refused.reason.find(said), std::string::npos) << refused.reason;
  // A likelihood says nothing of right and wrong.
  const auto other = verified.run(options, helped);
  EXPECT_EQ(other.reason.find("right"), std::string::npos) << other.reason;
}

// What the expert moves is worth the same wherever it is moved to.
TEST(few_shot_search, does_not_believe_what_its_shuffled_twin_gains_too) {
  synthetic_task task{1, 5};
  const auto of_size = [&](const delta_ref& delta) {
    if (!delta) return 0.0;
    const float* d = delta->d().const_data_ptr<float>();
    const float* s = task.s.const_data_ptr<float>();
    double size = 0;
    for (std::int64_t i = 0; i < task.layout->total(); ++i)
      size += std::abs(d[i] / s[i]);
    return size;
  };
  auto search = few_shot_search::make(task.pool, task.shots,
                                      *make_reward("logprob"), {},
                                      [] { return steady_time{}; });
  ASSERT_TRUE(search);
  while (const auto* work = std::get_if<score_work>(&(*search)->next())) {
    std::vector<row_score> scores;
    for (const scoring_row& row : work->rows) {
      const auto shot = static_cast<double>(row.tokens.front());
      const auto value =
          static_cast<float>(-3 + (1 + 0.1 * shot) * of_size(row.delta));
      scores.push_back({{value, value}});
    }
    ASSERT_TRUE((*search)->tell(scores));
  }
  const auto out = (*search)->outcome();
  ASSERT_TRUE(out);
  EXPECT_FALSE(out->accepted);
  EXPECT_NE(out->reason.find("in another order"), std::string::npos)
      << out->reason;
  const auto held_out = json::parse(out->scores)["held_out"];
  EXPECT_GT(held_out["gain"], 0.9);
  EXPECT_NEAR(held_out["over_control"], 0, 1e-6);
}

TEST(few_shot_search, finds_two_useful_experts_among_many) {
  const auto useful = [](std::size_t shot, const candidate& alpha) {
    double value = -3 - 0.1 * static_cast<double>(shot);
    for (std::size_t k = 0; k < alpha.size(); ++k) {
      const double best = k == 5 ? 0.9 : k == 11 ? 0.6 : 0;
      value += best * best - (alpha[k] - best) * (alpha[k] - best);
    }
    return value;
  };
  synthetic_task task{14, 5};
  const auto out = task.run({}, useful);
  ASSERT_TRUE(out.accepted) << out.reason;
  const auto alpha = task.alpha_of(out.delta);
  EXPECT_NEAR(alpha[5], 0.9, 0.05);
  EXPECT_NEAR(alpha[11], 0.6, 0.05);
  // What 14 experts cost more than 4 are 14 candidates (and draws that repeat,
  // which cost nothing, are as many by chance).
  synthetic_task few{4, 5};
  few.run({}, helped);
  EXPECT_LE(task.scored_tokens, few.scored_tokens * 11 / 10 + 14 * 5 * 4);
}

// Shots that differ, experts that do nothing on average: the gain of shot i is
// noise_i · α − cost · |α|².
struct null_task {
  std::vector<std::vector<double>> noise;
  double mean = 0, cost = 0;
  double operator()(std::size_t shot, const candidate& alpha) const {
    double value = -3;
    for (std::size_t k = 0; k < alpha.size(); ++k)
      value += (mean + noise[shot][k]) * double{alpha[k]} -
               cost * double{alpha[k]} * double{alpha[k]};
    return value;
  }
};

null_task draw_null(std::uint64_t seed, std::size_t shots, std::size_t experts,
                    double mean, double cost) {
  random_stream random{seed, 99};
  null_task task{.noise = {}, .mean = mean, .cost = cost};
  for (std::size_t i = 0; i < shots; ++i) {
    task.noise.emplace_back();
    for (std::size_t k = 0; k < experts; ++k)
      task.noise.back().push_back(random.normal());
  }
  return task;
}

double accept_rate(double standard_errors, double mean, double cost) {
  int accepted = 0;
  constexpr int trials = 200;
  for (std::uint64_t seed = 0; seed < trials; ++seed) {
    synthetic_task task{3, 5};
    accepted += task.run({.iterations = 4,
                          .standard_errors = standard_errors,
                          .seed = seed},
                         draw_null(seed, 5, 3, mean, cost))
                    .accepted;
  }
  return accepted / double{trials};
}

TEST(cross_fitting, bounds_the_false_accepts_of_experts_that_do_nothing) {
  const double bare = accept_rate(0, 0, 0.25), strict = accept_rate(1, 0, 0.25);
  RecordProperty("false_accepts_bare_percent", static_cast<int>(100 * bare));
  RecordProperty("false_accepts_percent", static_cast<int>(100 * strict));
  EXPECT_LT(strict, 0.15);
  EXPECT_LT(bare, 0.5);
  EXPECT_LE(strict, bare);
}

TEST(cross_fitting, accepts_experts_that_help) {
  EXPECT_GT(accept_rate(1, 2, 0.25), 0.9);
}

// Where the true gain of every mixture is exactly 0, an estimate that no
// held-out shot has leaked into averages to 0, though the search finds gains
// on its own shots every time.
void expect_no_bias(std::size_t experts) {
  constexpr int trials = 300;
  double in_sample = 0, sum = 0, squares = 0;
  for (std::uint64_t seed = 0; seed < trials; ++seed) {
    synthetic_task task{experts, 4};
    const auto out = task.run({.iterations = 4, .seed = seed},
                              draw_null(1000 + seed, 4, experts, 0, 0));
    const auto scores = json::parse(out.scores);
    const auto gain = scores["held_out"]["gain"].get<double>();
    sum += gain / trials;
    squares += gain * gain / trials;
    in_sample += (scores["best"]["log_likelihood"].get<double>() -
                  scores["base"]["log_likelihood"].get<double>()) /
                 trials;
  }
  const double error = std::sqrt((squares - sum * sum) / trials);
  EXPECT_NEAR(sum, 0, 3 * error);
  EXPECT_GT(in_sample, 10 * error);
}

TEST(cross_fitting, estimates_the_gain_without_bias) { expect_no_bias(3); }

// The choice of experts is a part of the search that is cross-fitted.
TEST(cross_fitting, estimates_the_gain_of_preselected_experts_without_bias) {
  expect_no_bias(12);
}

}  // namespace
}  // namespace t2
