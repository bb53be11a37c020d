// What callers have of each other in the engine: nothing of a prompt, and never
// more than their share. Steps are counted, and no time.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "engine/engine.hpp"
#include "model/kv_store.hpp"
#include "model/language_model.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

struct heard {
  std::vector<token_id> tokens;
  int ends = 0;
};

class engine_callers : public testing::Test {
 protected:
  void SetUp() override {
    model_ = load_test_model("stories260k-hf", "float32");
    ASSERT_NE(model_, nullptr);
    page_bytes_ = kv_page_bytes(model_->config(), model_->dtype());
  }

  generation_request request(std::uint64_t caller, std::int64_t prompt_tokens,
                             std::int32_t max_tokens) {
    generation_request r;
    for (std::int64_t i = 0; i < prompt_tokens; ++i)
      r.prompt.push_back(
          static_cast<token_id>(300 + (asked_ * 31 + i * 7) % 200));
    ++asked_;
    r.sampling.max_tokens = max_tokens;
    r.sampling.ignore_eos = true;
    r.flow.caller = caller;
    r.cache_scope = std::to_string(caller);
    return r;
  }

  heard& submit(engine& e, generation_request r) {
    heard& ear = ears_.emplace_back();
    r.on_event = [&ear](const generation_event& event) {
      for (const auto& t : event.tokens) ear.tokens.push_back(t.token);
      ear.ends += event.finished || event.failure;
      EXPECT_FALSE(event.failure) << event.failure->message;
    };
    EXPECT_TRUE(e.submit(std::move(r)));
    return ear;
  }

  /// What the request's answer is when nobody else asks.
  std::vector<token_id> alone(generation_request r) {
    engine e{model_, {}};
    heard& ear = submit(e, std::move(r));
    while (e.step()) {
    }
    return ear.tokens;
  }

  std::shared_ptr<language_model> model_;
  std::int64_t page_bytes_ = 0;
  std::int64_t asked_ = 0;
  std::deque<heard> ears_;  // outlives the engines of a test
};

/// Tokens of a prompt that were found in the cache, of a caller in a scope.
std::int64_t cached(engine& e, generation_request r) {
  const auto before = e.statistics().prompt_tokens_cached;
  r.sampling.max_tokens = 1;
  EXPECT_TRUE(e.submit(std::move(r)));
  while (e.step()) {
  }
  return static_cast<std::int64_t>(e.statistics().prompt_tokens_cached -
                                   before);
}

TEST_F(engine_callers, find_nothing_of_each_others_prompts) {
  engine e{model_, {}};
  const auto secret = request(1, 100, 1);
  auto guess = secret;
  guess.cache_scope = "2";
  EXPECT_EQ(cached(e, secret), 0);
  EXPECT_EQ(cached(e, secret), 99) << "its own is found again";
  // Whether the guess is right or wrong at its first page, no guess is told from
  // another before it was made once.
  auto wrong = guess;
  wrong.prompt[3] ^= 1;
  EXPECT_EQ(cached(e, wrong), 0);
  EXPECT_EQ(cached(e, guess), 0);
  EXPECT_EQ(cached(e, guess), 99) << "that is its own by now";
  // Scopes are no prefixes of each other, and none is spelled like a mixture.
  for (const char* scope : {"", "11", "1 "}) {
    auto other = secret;
    other.cache_scope = scope;
    EXPECT_EQ(cached(e, other), 0) << scope;
  }
}

TEST_F(engine_callers, of_one_scope_share_their_prompts) {
  engine e{model_, {}};
  auto first = request(1, 100, 1);
  first.cache_scope = "";
  auto second = first;
  second.flow.caller = 2;
  EXPECT_EQ(cached(e, first), 0);
  EXPECT_EQ(cached(e, second), 99);
}

TEST_F(engine_callers, begin_in_the_next_step_although_another_holds_all_rows) {
  engine e{model_, {.max_sequences = 8}};
  for (int i = 0; i < 40; ++i) submit(e, request(1, 20, 300));
  for (int i = 0; i < 5; ++i) e.step();
  ASSERT_EQ(e.statistics().running, 8);
  auto question = request(2, 20, 4);
  heard& ear = submit(e, question);
  heard& next = submit(e, request(2, 20, 4));
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(ear.tokens.size(), static_cast<std::size_t>(i));
    e.step();
  }
  EXPECT_EQ(ear.ends, 1);
  EXPECT_EQ(ear.tokens, alone(question));
  EXPECT_TRUE(next.tokens.empty()) << "one is beyond the limit, not two";
  for (int i = 0; i < 4; ++i) e.step();
  EXPECT_EQ(next.ends, 1);
}

TEST_F(engine_callers, beyond_the_limit_are_as_many_as_the_limit) {
  engine e{model_, {.max_sequences = 4}};
  for (std::uint64_t caller = 1; caller <= 20; ++caller)
    for (int i = 0; i < 3; ++i) submit(e, request(caller, 4, 30));
  while (e.step()) EXPECT_LE(e.statistics().running, 8);
  for (const heard& ear : ears_) EXPECT_EQ(ear.ends, 1);
}

TEST_F(engine_callers, get_their_step_where_another_fills_it_with_rows) {
  // More rows than a step takes: neither the prompt nor the row of a newcomer
  // waits for the end of long answers.
  engine e{model_, {.step_tokens = 16, .max_sequences = 64}};
  for (int i = 0; i < 40; ++i) submit(e, request(1, 2, 200));
  for (int i = 0; i < 60; ++i) e.step();
  heard& ear = submit(e, request(2, 10, 4));
  int steps = 0;
  while (ear.ends == 0 && ++steps < 20) e.step();
  EXPECT_LT(steps, 16);
}

TEST_F(engine_callers, share_a_step_before_their_targets_do) {
  engine e{model_, {.step_tokens = 40, .max_sequences = 64}};
  for (std::uint64_t target = 0; target < 9; ++target) {
    auto r = request(1, 200, 1);
    r.flow.target = target;
    submit(e, r);
  }
  heard& ear = submit(e, request(2, 100, 1));
  // Half of each step: 100 tokens are read in five.
  int steps = 0;
  while (ear.ends == 0 && ++steps < 50) e.step();
  EXPECT_LE(steps, 5);
}

TEST_F(engine_callers, get_pages_of_one_that_holds_the_whole_cache) {
  engine e{model_, {.kv_bytes = 40 * page_bytes_, .max_sequences = 64}};
  std::vector<generation_request> asked;
  std::vector<heard*> ears;
  for (int i = 0; i < 16; ++i) {
    asked.push_back(request(1, 30, 200));
    ears.push_back(&submit(e, asked.back()));
  }
  for (int i = 0; i < 40; ++i) e.step();
  for (std::uint64_t caller = 2; caller <= 4; ++caller) {
    auto question = request(caller, 40, 20);
    heard& ear = submit(e, question);
    int steps = 0;
    while (ear.tokens.empty() && ++steps < 10) e.step();
    EXPECT_LT(steps, 4) << caller;
    // It keeps what it has while the others grow.
    while (ear.ends == 0 && ++steps < 100) e.step();
    EXPECT_LT(steps, 26) << caller;
    EXPECT_EQ(ear.tokens, alone(question));
  }
  while (e.step()) {
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(ears[i]->ends, 1);
    EXPECT_EQ(ears[i]->tokens, alone(asked[i])) << i;
  }
}

// Every mixture of callers, prompts and a small cache: all is answered, once, and
// as it would be alone.
TEST_F(engine_callers, all_come_to_their_end) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    std::uint64_t state = seed;
    const auto draw = [&](std::uint64_t below) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      return (state >> 33) % below;
    };
    engine e{model_, {.kv_bytes = 24 * page_bytes_,
                      .step_tokens = 24,
                      .max_sequences = 5}};
    std::vector<generation_request> asked;
    std::vector<heard*> ears;
    for (int i = 0; i < 40; ++i) {
      asked.push_back(
          request(1 + draw(4), 1 + static_cast<std::int64_t>(draw(60)),
                  1 + static_cast<std::int32_t>(draw(60))));
      asked.back().flow.target = draw(2);
      ears.push_back(&submit(e, asked.back()));
      for (auto steps = draw(6); steps > 0; --steps) e.step();
    }
    int steps = 0;
    while (e.step()) ASSERT_LT(++steps, 20'000);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      EXPECT_EQ(ears[i]->ends, 1) << i;
      EXPECT_EQ(ears[i]->tokens, alone(asked[i])) << i;
    }
  }
}

}  // namespace
}  // namespace t2
