#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adaptation/few_shot_search.hpp"
#include "adaptation/optimiser.hpp"
#include "tests/adaptation/tiny_shape.hpp"

namespace t2 {

/// A task whose likelihoods are a formula of α: drives a few_shot_search as an
/// engine would, without a model. Experts k = 0 .. K-1 change projection k
/// alone, so that α can be read off a row's delta.
class synthetic_task {
 public:
  /// Log-likelihood of shot i under α.
  using likelihood = std::function<double(std::size_t, const candidate&)>;
  /// The text answered to shot i under α.
  using answer = std::function<std::string(std::size_t, const candidate&)>;

  synthetic_task(std::size_t experts, std::size_t count) {
    layout = tiny_layout();
    s = random_vector(layout->total(), 0.5f, 1.5f, 1);
    std::vector<expert_ref> all;
    for (std::size_t k = 0; k < experts; ++k) {
      auto e = std::make_shared<expert>();
      e->name = "e" + std::to_string(k);
      e->version = 1;
      e->z = at::empty({layout->total()}, at::kFloat).fill_(1);
      e->z.mutable_data_ptr<float>()[layout->offset(k)] = 2;
      all.push_back(std::move(e));
    }
    pool = std::make_shared<expert_pool>(
        *expert_pool::make(std::move(all), layout, s));
    for (std::size_t i = 0; i < count; ++i) {
      search_shot shot;
      shot.source.id = std::to_string(i);
      shot.source.prompt = "question " + std::to_string(i);
      shot.source.answer = "right";
      shot.reference.tokens = {static_cast<token_id>(i), 1, 2, 3};
      shot.reference.answer_begin = 2;
      shots.push_back(shot);
    }
  }

  /// Each shot `times` times, one after the other.
  void copy_shots(std::size_t times) {
    std::vector<search_shot> copies;
    for (const search_shot& shot : shots)
      copies.insert(copies.end(), times, shot);
    shots = std::move(copies);
  }

  candidate alpha_of(const delta_ref& delta) const {
    candidate alpha(pool->experts().size(), 0.0f);
    if (delta)
      for (std::size_t k = 0; k < alpha.size(); ++k)
        alpha[k] = delta->d().const_data_ptr<float>()[layout->offset(k)] /
                   s.const_data_ptr<float>()[layout->offset(k)];
    return alpha;
  }

  /// Runs one work; false at the end.
  bool step(few_shot_search& search, const likelihood& of,
            const answer& says = {}) {
    const search_work& work = search.next();
    if (const auto* rows = std::get_if<score_work>(&work)) {
      std::vector<row_score> scores;
      for (const scoring_row& row : rows->rows) {
        const auto alpha = alpha_of(row.delta);
        const double value =
            of(static_cast<std::size_t>(row.tokens.front()), alpha);
        scores.push_back({std::vector<float>(
            row.tokens.size() - row.answer_begin, static_cast<float>(value))});
        scored_tokens += static_cast<std::int64_t>(row.tokens.size());
      }
      most_rows = std::max(most_rows, rows->rows.size());
      const auto told = search.tell(scores);
      EXPECT_TRUE(told) << told.error().message;
      return true;
    }
    if (const auto* texts = std::get_if<generate_work>(&work)) {
      std::vector<search_answer> answers;
      for (const generation_request& request : texts->requests)
        answers.push_back({says(static_cast<std::size_t>(
                                    request.prompt.front()),
                                alpha_of(request.delta)),
                           5});
      generated += answers.size();
      const auto told = search.tell(answers);
      EXPECT_TRUE(told) << told.error().message;
      return true;
    }
    return false;
  }

  few_shot_outcome run(few_shot_options options, const likelihood& of,
                       const char* reward_name = "logprob",
                       const answer& says = {}) {
    auto search = few_shot_search::make(pool, shots,
                                        *make_reward(reward_name), options,
                                        [] { return steady_time{}; });
    EXPECT_TRUE(search) << search.error().message;
    while (step(**search, of, says)) {
    }
    return *(*search)->outcome();
  }

  std::shared_ptr<const svf_layout> layout;
  at::Tensor s;
  std::shared_ptr<const expert_pool> pool;
  std::vector<search_shot> shots;
  std::int64_t scored_tokens = 0;
  std::size_t generated = 0;
  std::size_t most_rows = 0;
};

}  // namespace t2
