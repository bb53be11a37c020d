#include <gtest/gtest.h>

#include <algorithm>

#include "adaptation/expert_pool.hpp"
#include "adaptation/expert_training.hpp"
#include "adaptation/few_shot_search.hpp"
#include "adaptation/label_classifier.hpp"
#include "adaptation/prompting.hpp"
#include "adaptation/random_stream.hpp"
#include "tests/adaptation/engine_driver.hpp"
#include "tests/adaptation/stories_model.hpp"

namespace t2 {
namespace {

expert_ref refrain_expert() {
  static const expert_ref trained = [] {
    training_spec spec;
    spec.name = "refrains";
    spec.format = "text";
    spec.data = refrains(0, 40);
    spec.targets = "mlp";
    spec.steps = 30;
    spec.batch = 4;
    spec.learning_rate = 2e-2;
    spec.max_tokens = 64;
    auto training = *expert_training::make(stories_model(), spec);
    while (training->advance(*stories_model())) {
    }
    auto e = training->outcome()->trained;
    e.version = 1;
    return std::make_shared<expert>(std::move(e));
  }();
  return trained;
}

// The same z, its entries in another order within each projection.
expert_ref shuffled(const expert& e, std::uint64_t seed) {
  auto out = std::make_shared<expert>(e);
  out->name = "shuffled-" + std::to_string(seed);
  out->z = e.z.clone();
  const svf_layout layout{stories_model()->config(), e.targets};
  random_stream random{seed};
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const auto rank = layout.projections()[p].rank();
    const auto order = random.permutation(static_cast<std::size_t>(rank));
    for (std::int64_t i = 0; i < rank; ++i)
      out->z.mutable_data_ptr<float>()[layout.offset(p) + i] =
          e.z.const_data_ptr<float>()
              [layout.offset(p) +
               static_cast<std::int64_t>(order[static_cast<std::size_t>(i)])];
  }
  return out;
}

std::vector<example> refrain_examples(int first, int count) {
  std::vector<example> out;
  for (int i = 0; i < count; ++i) {
    example e;
    e.id = std::to_string(i);
    e.answer = refrains(first + i, 1);
    e.answer.resize(e.answer.find_last_not_of(" \n") + 1);
    out.push_back(std::move(e));
  }
  return out;
}

result<few_shot_outcome> adapt_to(engine& on,
                                  const std::vector<example>& examples,
                                  std::vector<expert_ref> experts,
                                  const char* reward_name,
                                  few_shot_options options) {
  const auto layout = std::make_shared<svf_layout>(
      stories_model()->config(), experts.front()->targets);
  const auto s = stories_model()->singular_values(*layout);
  if (!s) return s.error();
  auto pool = expert_pool::make(std::move(experts), layout, *s);
  if (!pool) return pool.error();
  const auto judge = make_reward(reward_name);
  auto shots = make_shots(*stories_model(), examples, **judge);
  if (!shots) return shots.error();
  auto search = few_shot_search::make(
      std::make_shared<expert_pool>(*std::move(pool)), *std::move(shots),
      *judge, std::move(options));
  if (!search) return search.error();
  return run_search(on, **search);
}

result<few_shot_outcome> adapt(engine& on, std::vector<expert_ref> experts,
                               const char* reward_name = "logprob",
                               few_shot_options options = {.population = 16,
                                                           .iterations = 3}) {
  return adapt_to(on, refrain_examples(500, 4), std::move(experts),
                  reward_name, std::move(options));
}

double mean_likelihood(engine& on, const std::vector<example>& of,
                       const delta_ref& delta) {
  std::vector<scoring_row> rows;
  for (const example& e : of)
    rows.push_back(*scoring_row_of(*stories_model(), e, false, delta));
  double sum = 0;
  for (const row_score& score : score_all(on, std::move(rows)))
    sum += score.sum() / static_cast<double>(score.log_probabilities.size());
  return sum / static_cast<double>(of.size());
}

TEST(adapting_a_task, by_a_trained_expert_helps_texts_that_nobody_has_seen) {
  engine on{stories_model(), {}};
  const auto out = adapt(on, {refrain_expert(), shuffled(*refrain_expert(), 1)});
  ASSERT_TRUE(out) << out.error().message;
  ASSERT_TRUE(out->accepted) << out->reason << out->scores;
  EXPECT_EQ(out->found.components[0].expert, "refrains");
  const auto unseen = refrain_examples(900, 10);
  EXPECT_GT(mean_likelihood(on, unseen, out->delta),
            mean_likelihood(on, unseen, nullptr) + 0.1);
}

// A shuffled z still has the trained one's mean and spread, so it may make a
// text that the base thinks very unlikely a little less so (it flattens what
// the base says). That gain is real and may be taken; the trained order of the
// singular values must be worth far more.
TEST(adapting_a_task, by_shuffled_experts_gains_little_and_never_harms) {
  engine on{stories_model(), {}};
  const auto trained = adapt(on, {refrain_expert()});
  const auto out = adapt(on, {shuffled(*refrain_expert(), 1),
                              shuffled(*refrain_expert(), 2)});
  ASSERT_TRUE(trained);
  ASSERT_TRUE(out) << out.error().message;
  const auto unseen = refrain_examples(900, 10);
  const double base = mean_likelihood(on, unseen, nullptr);
  const double gain = mean_likelihood(on, unseen, out->delta) - base;
  EXPECT_GE(gain, 0);
  EXPECT_LT(gain,
            (mean_likelihood(on, unseen, trained->delta) - base) / 3);
}

// Of texts that the base itself wrote at temperature 1 no mixture can be the
// better model (Gibbs' inequality): whatever is accepted is accepted falsely.
TEST(adapting_a_task, that_the_base_does_best_stays_on_the_base) {
  engine on{stories_model(), {}};
  constexpr int tasks = 10;
  int accepted = 0;
  for (int task = 0; task < tasks; ++task) {
    std::vector<generation_request> requests;
    for (std::uint64_t i = 0; i < 4; ++i) {
      generation_request request;
      request.prompt = *prompt_tokens(*stories_model(), "", {});
      request.sampling = {.temperature = 1,
                          .seed = static_cast<std::uint64_t>(task),
                          .max_tokens = 40,
                          .ignore_eos = true};
      request.stream = i;
      requests.push_back(std::move(request));
    }
    std::vector<example> written;
    for (const search_answer& answer : generate_all(on, std::move(requests))) {
      written.push_back({.id = std::to_string(written.size()),
                         .answer = answer.text});
    }
    const auto out = adapt_to(on, written,
                              {refrain_expert(), shuffled(*refrain_expert(), 1),
                               shuffled(*refrain_expert(), 2)},
                              "logprob", {.population = 16, .iterations = 2});
    ASSERT_TRUE(out) << out.error().message;
    accepted += out->accepted;
  }
  RecordProperty("false_accepts_of_10", accepted);
  EXPECT_LE(accepted, 2);
}

// Real generation: the base never says the refrain's word, the expert may.
TEST(adapting_a_task, with_a_reward_on_text_generates_answers) {
  engine on{stories_model(), {}};
  few_shot_options options{.population = 8, .iterations = 1, .survivors = 1};
  options.sampling.max_tokens = 8;
  const auto out = adapt(on, {refrain_expert()}, "exact", options);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_NE(out->scores.find("\"base_reward\":-1.0"), std::string::npos)
      << out->scores;
  EXPECT_EQ(out->cost.find("\"answers\":0"), std::string::npos) << out->cost;
}

TEST(label_classifier, scores_the_labels_after_any_query) {
  engine on{stories_model(), {}};
  const auto classifier = label_classifier::make(
      stories_model(), {{"cat", "animals"}, {"park", ""}});
  ASSERT_TRUE(classifier) << classifier.error().message;
  ASSERT_EQ(classifier->labels().size(), 3u);
  EXPECT_EQ(classifier->labels().back().name, "other");
  const auto empty = classifier->rows({});
  ASSERT_TRUE(empty);
  const auto empty_scores = score_all(on, empty->rows, empty->shared_prefix);
  const auto rows = classifier->rows({.prompt = "Tell me of the cat."});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->shared_prefix, empty->shared_prefix);
  for (const scoring_row& row : rows->rows)
    EXPECT_TRUE(std::equal(
        row.tokens.begin(),
        row.tokens.begin() + static_cast<std::ptrdiff_t>(rows->shared_prefix),
        empty->rows[0].tokens.begin()));
  const auto scores = score_all(on, rows->rows, rows->shared_prefix);
  const auto found = classifier->classify(scores, empty_scores);
  ASSERT_TRUE(found) << found.error().message;
  double sum = 0;
  for (const double p : found->probabilities) sum += p;
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_EQ(found->confidence, *std::max_element(found->probabilities.begin(),
                                                 found->probabilities.end()));

  // The same scores as without a shared prefix.
  const auto apart = classifier->classify(score_all(on, rows->rows),
                                          score_all(on, empty->rows));
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(apart->probabilities[i], found->probabilities[i], 1e-3);
}

TEST(label_classifier, calibrates_by_the_empty_query) {
  const auto classifier =
      label_classifier::make(stories_model(), {{"cat", ""}, {"dog", ""}});
  ASSERT_TRUE(classifier);
  const std::vector<row_score> scores{{{-1}}, {{-2}}, {{-5}}};
  EXPECT_EQ(classifier->classify(scores)->label, "cat");
  const std::vector<row_score> common{{{-0.5f}}, {{-3}}, {{-5}}};
  const auto calibrated = classifier->classify(scores, common);
  EXPECT_EQ(calibrated->label, "dog");
  EXPECT_GT(calibrated->confidence, 0.5);
  EXPECT_FALSE(classifier->classify(std::vector<row_score>(2)));
}

TEST(label_classifier, cuts_a_long_query_and_refuses_doubled_labels) {
  const auto classifier = label_classifier::make(stories_model(), {{"cat", ""}});
  std::string words;
  for (int i = 0; i < 2000; ++i) words += "cat ";
  const auto rows = classifier->rows({.prompt = words});
  ASSERT_TRUE(rows);
  EXPECT_LT(rows->rows[0].tokens.size(),
            label_classifier::max_query_tokens + rows->shared_prefix + 20);
  EXPECT_FALSE(label_classifier::make(stories_model(), {{"a", ""}, {"a", ""}}));
  EXPECT_FALSE(label_classifier::make(stories_model(), {}));
}

}  // namespace
}  // namespace t2
