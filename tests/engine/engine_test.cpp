// The engine's promises on the story model: rows do not see each other, plans
// and chunkings agree, ends are told once, budgets hold, background yields.
#include "engine/engine.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "model/language_model.hpp"
#include "model/transformer.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

/// A clock that stands still unless told.
struct manual_clock {
  std::shared_ptr<steady_time> at = std::make_shared<steady_time>();
  steady_time operator()() const { return *at; }
  void advance(double seconds) {
    *at += std::chrono::duration_cast<steady_time::duration>(
        std::chrono::duration<double>(seconds));
  }
};

/// What one answer said, and how often it ended.
struct heard {
  std::string text;
  std::vector<token_id> tokens;
  int ends = 0;
  std::optional<finish_reason> finished;
  std::optional<error> failure;
};

/// Bytes of the pages that so many positions take.
std::int64_t bytes_for(const language_model& model, std::int64_t positions) {
  return kv_pages(positions) * kv_page_bytes(model.config(), model.dtype());
}

class engine_on_stories : public testing::Test {
 protected:
  std::int64_t kv_bytes(std::int64_t positions) const {
    return bytes_for(*model_, positions);
  }

  void SetUp() override {
    model_ = load_test_model("stories260k-hf", "float32");
    ASSERT_NE(model_, nullptr);
  }

  delta_ref random_delta(int seed, svf_targets targets = svf_targets::all) {
    at::manual_seed(static_cast<std::uint64_t>(seed));
    auto layout = std::make_shared<svf_layout>(model_->config(), targets);
    const auto s = *model_->singular_values(*layout);
    return *singular_delta::make(layout, s * 0.2 * at::randn_like(s));
  }

  generation_request request(const std::string& prompt, delta_ref delta = {}) {
    generation_request r;
    r.prompt = *model_->text()->encode(prompt, true);
    r.delta = std::move(delta);
    r.sampling.max_tokens = 24;
    return r;
  }

  static void listen(generation_request& r, heard& h) {
    r.on_event = [&h](const generation_event& event) {
      h.text += event.text;
      for (const auto& t : event.tokens) h.tokens.push_back(t.token);
      if (!event.finished && !event.failure) return;
      ++h.ends;
      h.finished = event.finished;
      h.failure = event.failure;
    };
  }

  heard answer(generation_request r, engine_options options = {}) {
    engine e{model_, std::move(options)};
    heard h;
    listen(r, h);
    EXPECT_TRUE(e.submit(std::move(r)));
    while (e.step()) {
    }
    EXPECT_EQ(h.ends, 1);
    return h;
  }

  std::shared_ptr<language_model> model_;
};

TEST_F(engine_on_stories, rows_of_one_batch_answer_as_they_do_alone) {
  std::vector<generation_request> requests;
  const std::vector<std::string> prompts{
      "Once upon a time", "Lily", "The dog went to the park and",
      "\"Can I have the ball?\" asked Tom.", "One day, a little girl named"};
  for (std::size_t i = 0; i < 15; ++i) {
    auto r = request(prompts[i % prompts.size()],
                     i % 3 == 0   ? nullptr
                     : i % 3 == 1 ? random_delta(static_cast<int>(i))
                                  : random_delta(2, svf_targets::mlp));
    r.sampling.temperature = i % 2 ? 0.8f : 0.f;
    r.sampling.top_p = 0.9f;
    r.sampling.seed = i;
    r.stream = i;
    requests.push_back(r);
  }
  engine_options small;
  small.step_tokens = 7;  // prompts come in chunks among decoding rows
  engine together{model_, small};
  std::vector<heard> batched(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    auto r = requests[i];
    listen(r, batched[i]);
    ASSERT_TRUE(together.submit(std::move(r)));
  }
  while (together.step()) {
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto alone = answer(requests[i]);
    EXPECT_EQ(batched[i].ends, 1);
    EXPECT_EQ(batched[i].tokens, alone.tokens) << i;
    EXPECT_EQ(batched[i].text, alone.text) << i;
  }
}

TEST_F(engine_on_stories, scores_equal_the_sampled_tokens_own_likelihoods) {
  engine e{model_, {}};
  auto r = request("Once upon a time", random_delta(3));
  std::vector<float> told;
  std::vector<token_id> tokens = r.prompt;
  r.on_event = [&](const generation_event& event) {
    for (const auto& t : event.tokens) {
      tokens.push_back(t.token);
      told.push_back(t.log_probability);
    }
  };
  const auto delta = r.delta;
  const auto prompt = r.prompt.size();
  ASSERT_TRUE(e.submit(r));
  while (e.step()) {
  }
  std::vector<float> scored;
  ASSERT_TRUE(e.score({{tokens, prompt, delta}},
                      [&](result<std::vector<row_score>> scores) {
                        ASSERT_TRUE(scores);
                        scored = scores->front().log_probabilities;
                      }));
  while (e.step()) {
  }
  ASSERT_EQ(scored.size(), told.size());
  for (std::size_t i = 0; i < told.size(); ++i)
    EXPECT_NEAR(scored[i], told[i], 2e-3) << i;
}

TEST_F(engine_on_stories, shared_beginnings_do_not_change_scores) {
  const auto& text = *model_->text();
  const std::string instruction =
      "Once upon a time, there was a little girl named Lily. She loved to ";
  std::vector<scoring_row> rows;
  for (const std::string query : {"play in the park. ", "eat the red apple. "})
    for (const std::string label : {"She was happy.", "Tom said no.", "cat"}) {
      scoring_row row{*text.encode(instruction + query, true), 0, nullptr};
      row.answer_begin = row.tokens.size();
      const auto answer = *text.encode(label, false);
      row.tokens.insert(row.tokens.end(), answer.begin(), answer.end());
      rows.push_back(row);
    }
  const auto shared = text.encode(instruction, true)->size() - 2;
  const auto delta = random_delta(5);
  for (auto& row : rows) row.delta = delta;

  engine e{model_, {}};
  const auto run = [&](std::vector<scoring_row> some, std::size_t prefix) {
    std::vector<double> sums;
    EXPECT_TRUE(e.score(
        std::move(some),
        [&](result<std::vector<row_score>> scores) {
          ASSERT_TRUE(scores) << scores.error().message;
          for (const auto& s : *scores) sums.push_back(s.sum());
        },
        priority::live, prefix));
    while (e.step()) {
    }
    return sums;
  };
  std::vector<double> alone;
  for (const auto& row : rows) alone.push_back(run({row}, 0).at(0));
  const auto before = e.statistics();
  const auto first = run(rows, shared);
  const auto between = e.statistics();
  const auto again = run(rows, shared);
  const auto after = e.statistics();
  ASSERT_EQ(first.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_NEAR(first[i], alone[i], 1e-3);
    EXPECT_NEAR(again[i], alone[i], 1e-3);
  }
  // The second time the instruction is in the cache.
  const auto cost = [](const engine_statistics& from,
                       const engine_statistics& to) {
    return to.prefill_tokens + to.scored_tokens - from.prefill_tokens -
           from.scored_tokens;
  };
  EXPECT_EQ(cost(before, between) - cost(between, after), shared);
}

std::vector<row_score> scores_of(engine& e, std::vector<scoring_row> rows) {
  std::vector<row_score> found;
  EXPECT_TRUE(e.score(std::move(rows), [&](auto scores) {
    ASSERT_TRUE(scores) << scores.error().message;
    found = *std::move(scores);
  }));
  while (e.step()) {
  }
  return found;
}

TEST_F(engine_on_stories, labels_cost_little_more_than_the_query) {
  scoring_row row{*model_->text()->encode("Once upon a time, there was", true),
                  0, nullptr};
  row.answer_begin = row.tokens.size();
  std::vector<scoring_row> rows;
  for (const token_id label : {300, 310, 320, 330}) {
    rows.push_back(row);
    rows.back().tokens.push_back(label);
  }
  rows.back().tokens.push_back(340);  // one label has a second token
  engine e{model_, {}};
  const auto together = scores_of(e, rows);
  const auto done = e.statistics();
  // The query once, and the first token of the label that has two.
  EXPECT_EQ(done.prefill_tokens + done.scored_tokens, row.tokens.size() + 1);
  EXPECT_EQ(done.steps, 1u);
  ASSERT_EQ(together.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto alone = scores_of(e, {rows[i]});
    ASSERT_EQ(together[i].log_probabilities.size(),
              rows[i].tokens.size() - row.answer_begin);
    for (std::size_t t = 0; t < together[i].log_probabilities.size(); ++t)
      EXPECT_NEAR(together[i].log_probabilities[t],
                  alone[0].log_probabilities[t], 1e-3);
  }
}

TEST_F(engine_on_stories, rows_that_share_nothing_or_answer_early_are_scored) {
  const std::vector<scoring_row> rows{{{5, 6, 7, 8}, 2, nullptr},
                                      {{9, 6, 7, 8}, 2, nullptr},
                                      {{9, 6, 7, 8}, 1, nullptr},
                                      {{9, 6, 7, 8}, 3, nullptr}};
  engine e{model_, {}};
  const auto together = scores_of(e, rows);
  ASSERT_EQ(together.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    EXPECT_NEAR(together[i].sum(), scores_of(e, {rows[i]})[0].sum(), 1e-3) << i;
}

TEST_F(engine_on_stories, scoring_labels_for_ever_holds_no_memory) {
  engine e{model_, {.kv_bytes = 1 << 20}};
  for (token_id query = 5; query < 405; ++query) {
    const std::vector<token_id> asked{1, 2, 3, query, 5, 6, 7, 8, 9, 10};
    std::vector<scoring_row> rows(3, {asked, asked.size(), nullptr});
    for (token_id label = 0; label < 3; ++label)
      rows[static_cast<std::size_t>(label)].tokens.push_back(300 + label);
    rows[2].tokens.push_back(310);
    bool told = false;
    ASSERT_TRUE(e.score(
        rows,
        [&](result<std::vector<row_score>> scores) {
          told = true;
          EXPECT_TRUE(scores) << scores.error().message;
        },
        priority::live, 3));
    while (e.step()) {
    }
    ASSERT_TRUE(told);
  }
  // The instruction alone stays.
  EXPECT_EQ(e.statistics().kv_bytes_used, 0);
  EXPECT_EQ(e.statistics().kv_bytes_cached, kv_bytes(1));
}

TEST_F(engine_on_stories, a_cancelled_scoring_of_labels_tells_its_caller_once) {
  engine e{model_, {}};
  int told = 0;
  const auto id = e.score({{{1, 2, 3, 300}, 3, nullptr},
                           {{1, 2, 3, 310}, 3, nullptr}},
                          [&](result<std::vector<row_score>> scores) {
                            ++told;
                            ASSERT_FALSE(scores);
                            EXPECT_EQ(scores.error().code, ec::cancelled);
                          });
  ASSERT_TRUE(id);
  EXPECT_TRUE(e.cancel(*id));
  EXPECT_TRUE(e.idle());
  EXPECT_EQ(told, 1);
}

TEST_F(engine_on_stories, stop_strings_end_an_answer_and_are_not_emitted) {
  const auto whole = answer(request("Once upon a time")).text;
  ASSERT_GT(whole.size(), 20u);
  auto r = request("Once upon a time");
  const auto stop = whole.substr(9, 5);
  r.sampling.stop = {"never seen", stop};
  const auto cut = answer(r);
  EXPECT_EQ(cut.text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(cut.finished, finish_reason::stop);
}

TEST_F(engine_on_stories, a_full_cache_makes_rows_wait_and_none_is_lost) {
  engine_options tight;
  tight.kv_bytes = 2 * kv_bytes(40);
  engine e{model_, tight};
  std::vector<heard> all(9);
  for (auto& h : all) {
    auto r = request("Once upon a time");
    listen(r, h);
    ASSERT_TRUE(e.submit(std::move(r)));
  }
  std::int64_t most = 0;
  while (e.step()) {
    most = std::max(most, e.statistics().kv_bytes_used);
  }
  EXPECT_LE(most, tight.kv_bytes);
  EXPECT_EQ(e.statistics().kv_bytes_used, 0);
  for (const auto& h : all) {
    EXPECT_EQ(h.ends, 1);
    EXPECT_EQ(h.text, all.front().text);
  }
}

/// What an answer said alone, and what it says beside others in a small cache.
/// Equal up to where the two best logits are near; here that is everywhere.
TEST_F(engine_on_stories, preempted_answers_say_what_they_say_alone) {
  std::vector<generation_request> requests;
  for (int i = 0; i < 8; ++i) {
    auto r = request(i % 2 ? "Lily and Tom went to the park. They saw a big dog"
                           : "One day, a little girl named",
                     i % 3 ? random_delta(i) : nullptr);
    r.sampling.max_tokens = 90;
    r.sampling.ignore_eos = true;
    r.sampling.temperature = 0.7f;
    r.sampling.seed = static_cast<std::uint64_t>(i);
    requests.push_back(r);
  }
  engine_options tight;
  tight.kv_bytes = kv_bytes(4 * 64);  // of 8 that want 100 each
  engine e{model_, tight};
  std::vector<heard> all(requests.size());
  std::vector<heard> background(2);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    auto r = requests[i];
    listen(r, all[i]);
    ASSERT_TRUE(e.submit(std::move(r)));
  }
  for (auto& h : background) {
    auto r = requests.front();
    r.urgency = priority::background;
    listen(r, h);
    ASSERT_TRUE(e.submit(std::move(r)));
  }
  int scored = 0;
  const auto text = *model_->text()->encode("Once upon a time there was a", true);
  std::vector<scoring_row> rows(12, scoring_row{text, 3, random_delta(1)});
  for (auto& row : rows) row.tokens.back() = static_cast<token_id>(300 + scored);
  std::vector<row_score> found;
  ASSERT_TRUE(e.score(rows, [&](result<std::vector<row_score>> r) {
    ASSERT_TRUE(r) << r.error().message;
    found = *r;
    ++scored;
  }));
  while (e.step()) {
    EXPECT_LE(e.statistics().kv_bytes_used + e.statistics().kv_bytes_cached,
              tight.kv_bytes);
  }
  EXPECT_GT(e.statistics().preemptions, 0u);
  EXPECT_EQ(e.statistics().kv_bytes_used, 0);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(all[i].ends, 1);
    EXPECT_EQ(all[i].tokens, answer(requests[i]).tokens) << i;
  }
  for (const auto& h : background)
    EXPECT_EQ(h.tokens, answer(requests.front()).tokens);
  ASSERT_EQ(scored, 1);
  engine roomy{model_, {}};
  const auto alone = scores_of(roomy, rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(found[i].log_probabilities.size(), rows[i].tokens.size() - 3);
    EXPECT_NEAR(found[i].sum(), alone[i].sum(), 1e-3);
  }
}

/// Floats differ between batch shapes, chunkings, plans and after a
/// preemption. Agreement (ARCHITECTURE.md): the log-probabilities of equal
/// tokens within ε, and equal tokens up to where the two best lie within 2 ε.
class agreement : public testing::TestWithParam<const char*> {
 protected:
  std::int64_t kv_bytes(std::int64_t positions) const {
    return bytes_for(*model_, positions);
  }

  struct told {
    std::vector<sampled_token> tokens;
  };

  std::vector<told> answers(const std::vector<generation_request>& requests,
                            engine_options options, bool together) {
    std::vector<told> out(requests.size());
    const auto run = [](engine& e) {
      while (e.step()) {
      }
      preemptions_ += e.statistics().preemptions;
    };
    auto e = std::make_unique<engine>(model_, options);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      auto r = requests[i];
      r.on_event = [&out, i](const generation_event& event) {
        EXPECT_FALSE(event.failure);
        out[i].tokens.insert(out[i].tokens.end(), event.tokens.begin(),
                             event.tokens.end());
      };
      EXPECT_TRUE(e->submit(std::move(r)));
      if (together) continue;
      run(*e);
      e = std::make_unique<engine>(model_, options);
    }
    run(*e);
    return out;
  }

  std::shared_ptr<language_model> model_;
  static inline std::uint64_t preemptions_ = 0;
};

TEST_P(agreement, holds_between_batches_chunks_plans_and_preemption) {
  model_ = load_test_model("stories260k-hf", GetParam());
  ASSERT_NE(model_, nullptr);
  const double epsilon = std::string_view{GetParam()} == "float32" ? 1e-3 : 0.15;
  at::manual_seed(21);
  const auto layout =
      std::make_shared<svf_layout>(model_->config(), svf_targets::all);
  const auto s = *model_->singular_values(*layout);
  std::vector<generation_request> requests;
  for (int i = 0; i < 12; ++i) {
    generation_request r;
    r.prompt = *model_->text()->encode(
        i % 2 ? "Lily and Tom went to the park. They saw a big"
              : "One day, a little girl named",
        true);
    if (i % 3)
      r.delta = *singular_delta::make(layout, s * 0.1 * at::randn_like(s));
    r.sampling.max_tokens = 60;
    r.sampling.ignore_eos = true;
    r.sampling.top_log_probabilities = 2;
    requests.push_back(std::move(r));
  }
  auto& net = model_->network();
  net.force_plan(linear_plan::delta);
  const auto alone = answers(requests, {}, false);
  engine_options chunked, tight;
  chunked.step_tokens = 13;
  tight.kv_bytes = kv_bytes(6 * 64);
  const std::vector<std::pair<linear_plan, engine_options>> ways{
      {linear_plan::delta, {}},
      {linear_plan::factored, chunked},
      {linear_plan::grouped_dense, tight},
      {linear_plan::delta, tight}};
  preemptions_ = 0;
  std::size_t compared = 0;
  for (const auto& [plan, options] : ways) {
    net.force_plan(plan);
    const auto found = answers(requests, options, true);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      ASSERT_EQ(found[i].tokens.size(), 60u);
      for (std::size_t t = 0; t < 60; ++t) {
        const auto& a = alone[i].tokens[t];
        const auto& b = found[i].tokens[t];
        if (a.token != b.token) {
          const double margin = static_cast<double>(
              a.alternatives[0].log_probability - a.alternatives[1].log_probability);
          EXPECT_LE(margin, 2 * epsilon)
              << to_string(plan) << " row " << i << " token " << t;
          break;
        }
        ++compared;
        EXPECT_NEAR(a.log_probability, b.log_probability, epsilon)
            << to_string(plan) << " row " << i << " token " << t;
      }
    }
  }
  EXPECT_GT(preemptions_, 0u);
  EXPECT_GT(compared, 4 * 12 * 15u) << "most of it agreed";
  net.force_plan({});
}

INSTANTIATE_TEST_SUITE_P(types, agreement,
                         testing::Values("float32", "bfloat16"),
                         [](const auto& of) { return of.param; });

TEST_F(engine_on_stories, switching_between_tasks_rebuilds_nothing) {
  engine e{model_, {}};
  const std::vector<delta_ref> tasks{random_delta(1), random_delta(2),
                                     random_delta(3)};
  const auto ask = [&](std::size_t i) {
    auto r = request("Once upon a time", tasks[i % tasks.size()]);
    heard h;
    listen(r, h);
    EXPECT_TRUE(e.submit(std::move(r)));
    while (e.step()) {
    }
    return h.text;
  };
  std::vector<std::string> first;
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(model_->network().warm(tasks[i]));
    first.push_back(ask(i));
  }
  const auto warm = e.statistics();
  for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(ask(i), first[i % 3]);
  EXPECT_EQ(e.statistics().dense_builds, warm.dense_builds);
}

TEST_F(engine_on_stories, labels_in_a_full_cache_are_scored_once_and_right) {
  engine_options tight;
  tight.kv_bytes = kv_bytes(6 * 16);
  tight.step_tokens = 20;
  engine e{model_, tight};
  const auto labels_of = [](token_id query) {
    std::vector<token_id> asked{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    for (token_id t = 0; t < 24; ++t) asked.push_back(20 + t * query % 97);
    std::vector<scoring_row> rows(3, {asked, asked.size(), nullptr});
    for (token_id label = 0; label < 3; ++label)
      for (token_id t = 0; t < 4; ++t)
        rows[static_cast<std::size_t>(label)].tokens.push_back(300 + 7 * label + t);
    return rows;
  };
  std::vector<std::vector<row_score>> found(5);
  std::vector<heard> answers(2);
  for (std::size_t q = 0; q < found.size(); ++q) {
    ASSERT_TRUE(e.score(labels_of(static_cast<token_id>(q + 1)),
                        [&found, q](result<std::vector<row_score>> r) {
                          ASSERT_TRUE(r) << r.error().message;
                          EXPECT_TRUE(found[q].empty());
                          found[q] = *r;
                        },
                        priority::live, 12));
    if (q >= answers.size()) continue;
    auto r = request("One day, a little girl named");
    r.sampling.max_tokens = 60;
    r.sampling.ignore_eos = true;
    listen(r, answers[q]);
    ASSERT_TRUE(e.submit(std::move(r)));
  }
  int steps = 0;
  while (e.step()) ASSERT_LT(++steps, 5000) << "nothing moves";
  for (const auto& h : answers) EXPECT_EQ(h.tokens.size(), 60u);
  engine roomy{model_, {}};
  for (std::size_t q = 0; q < found.size(); ++q) {
    const auto rows = labels_of(static_cast<token_id>(q + 1));
    ASSERT_EQ(found[q].size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(found[q][i].log_probabilities.size(), 4u);
      EXPECT_NEAR(found[q][i].sum(), scores_of(roomy, {rows[i]})[0].sum(), 1e-3);
    }
  }
}

TEST_F(engine_on_stories, a_beginning_is_computed_once_for_each_mixture) {
  engine e{model_, {}};
  const std::string system =
      "Once upon a time, there was a little girl named Lily. She loved to play "
      "outside in the park with her friends, and one day ";
  const auto mixture = random_delta(4);
  const auto cost = [&](const std::string& prompt, const delta_ref& delta) {
    const auto before = e.statistics();
    auto r = request(prompt, delta);
    heard h;
    listen(r, h);
    const auto size = static_cast<std::int64_t>(r.prompt.size());
    EXPECT_TRUE(e.submit(std::move(r)));
    while (e.step()) {
    }
    EXPECT_EQ(h.tokens, answer(request(prompt, delta)).tokens);
    const auto after = e.statistics();
    EXPECT_EQ(after.prompt_tokens - before.prompt_tokens, size);
    return size - static_cast<std::int64_t>(after.prompt_tokens_cached -
                                            before.prompt_tokens_cached);
  };
  const auto whole = cost(system + "she saw a cat.", nullptr);
  const auto shared =
      static_cast<std::int64_t>(model_->text()->encode(system, true)->size());
  const auto least = shared / kv_store::page_tokens * kv_store::page_tokens;
  ASSERT_GE(least, 16);
  EXPECT_GT(whole, shared);
  EXPECT_LE(cost(system + "he ate a big cake.", nullptr),
            whole - least + kv_store::page_tokens);
  // Under another mixture nothing is shared, and then again all of it.
  EXPECT_EQ(cost(system + "she saw a cat.", mixture), whole);
  EXPECT_LT(cost(system + "she saw a cat.", mixture), kv_store::page_tokens + 1);
}

TEST_F(engine_on_stories, all_directions_are_exact_and_searches_always_are) {
  const auto several = [&](std::int64_t rank) {
    engine e{model_, {.dense_bytes = 0, .delta_rank = rank}};
    std::vector<heard> all(4);
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto r = request("Once upon a time", random_delta(static_cast<int>(i)));
      listen(r, all[i]);
      EXPECT_TRUE(e.submit(std::move(r)));
    }
    while (e.step()) {
    }
    std::vector<scoring_row> rows(2, {{1, 5, 6, 7, 8, 9}, 2, random_delta(1)});
    rows[1].delta = random_delta(2);
    const auto scores = scores_of(e, rows);
    std::string text;
    for (const auto& h : all) text += h.text + "\n";
    return std::pair{text, scores[0].sum() + scores[1].sum()};
  };
  const auto [exact, score] = several(0);
  EXPECT_EQ(several(1 << 20).first, exact);
  const auto [truncated, same_score] = several(2);
  EXPECT_NE(truncated, exact);
  EXPECT_NEAR(same_score, score, 1e-3);
}

TEST_F(engine_on_stories, answers_to_one_prompt_share_it) {
  engine e{model_, {}};
  std::vector<heard> all(4);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto r = request(
        "Once upon a time, there was a little girl named Lily. She loved to "
        "play outside in the park with her friends.");
    r.sampling.temperature = 1;
    r.stream = i;
    listen(r, all[i]);
    ASSERT_TRUE(e.submit(std::move(r)));
  }
  while (e.step()) {
  }
  const auto done = e.statistics();
  const auto each = done.prompt_tokens / all.size();
  EXPECT_EQ(done.prompt_tokens_cached,
            3 * (each - 1));
  EXPECT_NE(all[0].tokens, all[1].tokens);
}

TEST_F(engine_on_stories, flows_share_what_a_step_can_read) {
  engine_options options;
  options.step_tokens = 40;
  engine e{model_, options};
  // One flow floods the queue with long prompts; the other asks one question.
  std::vector<heard> flood(6);
  for (std::size_t i = 0; i < flood.size(); ++i) {
    auto r = request("Lily");
    r.prompt.assign(300, static_cast<token_id>(40 + i));
    r.flow = {.target = 1};
    listen(r, flood[i]);
    ASSERT_TRUE(e.submit(std::move(r)));
  }
  heard lone;
  auto r = request("Once upon a time");
  r.flow = {.target = 2};
  r.sampling.max_tokens = 4;
  listen(r, lone);
  ASSERT_TRUE(e.submit(std::move(r)));
  int steps = 0;
  while (lone.ends == 0) {
    e.step();
    ASSERT_LT(++steps, 8);
  }
  while (e.step()) {
  }
  for (const auto& h : flood) EXPECT_EQ(h.ends, 1);
}

// Thirty pages that short answers of one flow always keep full.
TEST_F(engine_on_stories, a_long_prompt_starts_among_short_ones_for_ever) {
  for (const std::uint64_t flow : {1u, 2u}) {
    engine e{model_, {.kv_bytes = 30 * kv_bytes(1), .max_sequences = 9}};
    int running = 0, asked = 0;
    const auto keep_it_full = [&] {
      while (running < 8) {
        generation_request r;
        for (int i = 0; i < 17; ++i)
          r.prompt.push_back(300 + (asked * 7 + i) % 200);
        r.sampling.max_tokens = 20 + asked++ % 7;
        r.sampling.ignore_eos = true;
        r.flow = {.target = 1};
        r.on_event = [&](const generation_event& event) {
          running -= event.finished || event.failure;
        };
        ASSERT_TRUE(e.submit(r));
        ++running;
      }
    };
    for (int i = 0; i < 10; ++i) {
      keep_it_full();
      e.step();
    }
    generation_request r;
    for (int i = 0; i < 200; ++i) r.prompt.push_back(300 + i % 200);
    r.sampling.max_tokens = 1;
    r.flow = {.target = flow};
    heard h;
    listen(r, h);
    ASSERT_TRUE(e.submit(std::move(r)));
    int steps = 0;
    while (h.ends == 0 && ++steps < 200) {
      keep_it_full();
      e.step();
    }
    EXPECT_EQ(h.finished, finish_reason::length) << flow;
    while (running > 0) e.step();
  }
}

TEST_F(engine_on_stories, logits_that_overflow_end_their_answer_alone) {
  const auto layout =
      std::make_shared<svf_layout>(model_->config(), svf_targets::all);
  const auto s = *model_->singular_values(*layout);
  const auto wild = *singular_delta::make(layout, s * 1e19);
  for (const float temperature : {0.f, 1.f}) {
    engine e{model_, {}};
    std::vector<heard> all(3);
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto r = request("Once upon a time", i == 1 ? wild : delta_ref{});
      r.sampling.temperature = temperature;
      listen(r, all[i]);
      ASSERT_TRUE(e.submit(std::move(r)));
    }
    while (e.step()) {
    }
    EXPECT_FALSE(all[0].failure);
    EXPECT_FALSE(all[2].failure);
    ASSERT_TRUE(all[1].failure);
    EXPECT_EQ(all[1].failure->code, ec::internal);
    EXPECT_EQ(all[1].ends, 1);
  }
}

TEST_F(engine_on_stories, searches_read_no_page_that_was_truncated) {
  const auto delta = random_delta(3);
  const auto likelihoods = [&](engine& e, priority urgency) {
    auto r = request("Once upon a time there was a little girl named Lily. She "
                     "loved to play with her big red ball in the park", delta);
    r.urgency = urgency;
    r.sampling.max_tokens = 6;
    r.sampling.ignore_eos = true;
    std::vector<float> found;
    r.on_event = [&](const generation_event& event) {
      for (const auto& t : event.tokens) found.push_back(t.log_probability);
    };
    EXPECT_TRUE(e.submit(std::move(r)));
    while (e.step()) {
    }
    return found;
  };
  const engine_options options{.dense_bytes = 0, .delta_rank = 2};
  engine alone{model_, options}, after{model_, options};
  const auto expected = likelihoods(alone, priority::background);
  EXPECT_NE(likelihoods(after, priority::live), expected);
  EXPECT_EQ(likelihoods(after, priority::background), expected);
}

TEST_F(engine_on_stories, the_end_of_a_prompt_is_forgotten_before_its_beginning) {
  engine e{model_, {.kv_bytes = 20 * kv_bytes(1)}};
  const auto cached = [&](int seed, int tokens) {
    generation_request r;
    for (int i = 0; i < tokens; ++i)
      r.prompt.push_back(300 + i * seed % 197);
    r.sampling.max_tokens = 1;
    const auto before = e.statistics().prompt_tokens_cached;
    EXPECT_TRUE(e.submit(r));
    while (e.step()) {
    }
    return e.statistics().prompt_tokens_cached - before;
  };
  cached(1, 15 * 16 + 1);  // fifteen whole pages are kept
  cached(3, 5 * 16 + 1);   // one of them has to go
  EXPECT_EQ(cached(1, 15 * 16 + 1), 14u * 16);
}

TEST_F(engine_on_stories, an_answer_that_can_never_fit_is_refused) {
  engine_options tiny;
  tiny.kv_bytes = 1000;
  const auto h = answer(request("Once upon a time"), tiny);
  ASSERT_TRUE(h.failure);
  EXPECT_EQ(h.failure->code, ec::exhausted);
}

TEST_F(engine_on_stories, deadlines_and_cancellation_end_answers_once) {
  manual_clock clock;
  engine_options options;
  options.now = clock;
  engine e{model_, options};
  heard late, cancelled, kept;
  auto a = request("Once upon a time");
  a.deadline = clock() + std::chrono::seconds{5};
  listen(a, late);
  auto b = request("Lily");
  listen(b, cancelled);
  auto c = request("Tom");
  listen(c, kept);
  ASSERT_TRUE(e.submit(a));
  const auto id = *e.submit(b);
  ASSERT_TRUE(e.submit(c));
  for (int i = 0; i < 4; ++i) e.step();
  EXPECT_TRUE(e.cancel(id));
  EXPECT_FALSE(e.cancel(id));
  clock.advance(6);
  while (e.step()) {
  }
  EXPECT_EQ(late.ends, 1);
  EXPECT_EQ(late.finished, finish_reason::deadline);
  EXPECT_FALSE(late.text.empty());
  EXPECT_EQ(cancelled.ends, 1);
  EXPECT_EQ(cancelled.finished, finish_reason::cancelled);
  EXPECT_EQ(kept.ends, 1);
  EXPECT_NE(kept.finished, finish_reason::cancelled);
  EXPECT_EQ(e.statistics().kv_bytes_used, 0);
}

TEST_F(engine_on_stories, background_yields_to_live_rows_but_does_not_starve) {
  manual_clock clock;
  engine_options options;
  options.now = [clock]() mutable {
    clock.advance(0.001);  // each look at the clock takes a millisecond
    return clock();
  };
  engine e{model_, options};
  const auto ids = *model_->text()->encode("Once upon a time there was a", true);
  int scored = 0;
  std::vector<scoring_row> rows(40, scoring_row{ids, 2, random_delta(1)});
  ASSERT_TRUE(e.score(rows, [&](result<std::vector<row_score>> r) {
    EXPECT_TRUE(r);
    ++scored;
  }));
  heard live;
  auto r = request("Lily");
  r.sampling.max_tokens = 60;
  r.sampling.ignore_eos = true;
  listen(r, live);
  ASSERT_TRUE(e.submit(r));
  int live_steps = 0, steps = 0;
  while (live.ends == 0) {
    const auto before = live.tokens.size();
    e.step();
    ++steps;
    live_steps += live.tokens.size() > before;
  }
  EXPECT_GE(2 * live_steps, steps);
  EXPECT_LT(live_steps, steps) << "background had no turn at all";
  while (e.step()) {
  }
  EXPECT_EQ(scored, 1);
}

TEST_F(engine_on_stories, each_background_job_is_told_the_time_it_was_given) {
  using namespace std::chrono_literals;
  struct working : engine_job {
    working(std::chrono::nanoseconds& clock, std::chrono::nanoseconds each,
            int slices)
        : clock_(clock), each_(each), left_(slices) {}
    bool advance(language_model&) override {
      clock_ += each_;
      return --left_ > 0;
    }
    std::chrono::nanoseconds& clock_;
    std::chrono::nanoseconds each_;
    int left_;
  };
  auto given = 100s + 0ns;
  engine e{model_, {.thread_time = [&] { return given; }}};
  std::map<sequence_id, std::vector<std::chrono::nanoseconds>> heard_of;
  e.on_background([&](sequence_id id, std::chrono::nanoseconds time) {
    heard_of[id].push_back(time);
  });
  const auto a = e.run(std::make_shared<working>(given, 3ns, 2), [] {});
  const auto b = e.run(std::make_shared<working>(given, 40s, 3), [] {});
  const auto c = e.run(std::make_shared<working>(given, 0ns, 1), [] {});
  while (e.step()) given += 1h;  // what lies between two slices is nobody's
  using times = std::vector<std::chrono::nanoseconds>;
  EXPECT_EQ(heard_of[a], (times{3ns, 3ns}));
  EXPECT_EQ(heard_of[b], (times{40s, 40s, 40s}));
  EXPECT_EQ(heard_of[c], times{0ns});
  EXPECT_EQ(heard_of.size(), 3u);
}

TEST_F(engine_on_stories, scored_texts_share_a_slices_time_by_their_tokens) {
  using namespace std::chrono_literals;
  auto given = 0ns;
  engine e{model_, {.thread_time = [&] { return given += 8s; }}};
  std::map<sequence_id, std::chrono::nanoseconds> heard_of;
  e.on_background([&](sequence_id id, std::chrono::nanoseconds time) {
    heard_of[id] += time;
  });
  token_id first = 20;  // of each another: texts that begin alike are read once
  const auto rows = [&](int n) {
    std::vector<scoring_row> out;
    while (n-- > 0)
      out.push_back({{first++, 10, 11, 12, 13, 14, 15, 16}, 2, nullptr});
    return out;
  };
  const auto one = e.score(rows(1), [](const auto& r) { EXPECT_TRUE(r); });
  const auto three = e.score(rows(3), [](const auto& r) { EXPECT_TRUE(r); });
  ASSERT_TRUE(one && three);
  int slices = 0;
  while (e.step()) ++slices;
  EXPECT_EQ(slices, 1) << "both fit into one";
  EXPECT_EQ(heard_of[*one], 2s);
  EXPECT_EQ(heard_of[*three], 6s);
}

TEST_F(engine_on_stories, live_answers_are_told_to_nobody) {
  using namespace std::chrono_literals;
  auto given = 0ns;
  engine e{model_, {.thread_time = [&] { return given += 1s; }}};
  e.on_background([](sequence_id, std::chrono::nanoseconds) {
    ADD_FAILURE() << "nothing ran in the background";
  });
  ASSERT_TRUE(e.submit(request("Lily")));
  while (e.step()) {
  }
}

// The model of 96 positions: no more keys have room, whatever the options and
// the request allow.
TEST(engine_on_a_short_model, an_answer_ends_with_the_models_positions) {
  const auto model = load_test_model("pretrained-tiny", "float32");
  ASSERT_NE(model, nullptr);
  engine e{model, {}};
  heard h;
  generation_request r;
  r.prompt = {2, 10, 11, 12, 13};
  r.sampling.max_tokens = 500;
  r.sampling.ignore_eos = true;
  r.on_event = [&h](const generation_event& event) {
    for (const auto& t : event.tokens) h.tokens.push_back(t.token);
    if (event.finished) h.finished = event.finished;
  };
  ASSERT_TRUE(e.submit(std::move(r)));
  while (e.step()) {
  }
  EXPECT_EQ(h.tokens.size(), 91u);
  EXPECT_EQ(h.finished, finish_reason::length);
}

TEST_F(engine_on_stories, nonsense_is_refused_and_leaves_no_trace) {
  engine e{model_, {}};
  const auto code = [&](generation_request r) {
    const auto id = e.submit(std::move(r));
    return id ? ec::none : id.error().code;
  };
  auto r = request("Lily");
  r.prompt.clear();
  EXPECT_EQ(code(r), ec::invalid_argument);
  r.prompt = {1, 512};
  EXPECT_EQ(code(r), ec::invalid_argument);
  r.prompt = {1, -1};
  EXPECT_EQ(code(r), ec::invalid_argument);
  r.prompt.assign(600, 5);  // max_position_embeddings is 512
  EXPECT_EQ(code(r), ec::invalid_argument);
  r = request("Lily");
  r.sampling.temperature = -1;
  EXPECT_EQ(code(r), ec::invalid_argument);
  r = request("Lily");
  r.sampling.stop = {""};
  EXPECT_EQ(code(r), ec::invalid_argument);
  EXPECT_FALSE(e.score({{{1, 2}, 2, nullptr}}, {}));
  EXPECT_FALSE(e.score({}, {}));
  EXPECT_TRUE(e.idle());
  EXPECT_FALSE(e.step());
}

}  // namespace
}  // namespace t2
