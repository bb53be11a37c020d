// The scheduler over pages that remember what was written into them, in place
// of a model: whatever arrives, is cancelled, fails or is preempted, every
// sequence reads its own tokens, and no page is lost.
#include "engine/scheduler.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <set>

namespace t2 {
namespace {

/// What a slot holds: which token, where, and of whom.
struct written {
  token_id token = -1;
  std::int64_t position = -1;
  std::string scope;
  bool operator==(const written&) const = default;
};

std::string name_of(const prefix_scope& scope) {
  return scope.owner + "/" + scope.mixture + (scope.exact ? "" : "/thin");
}

struct scheduling : testing::Test {
  using ref = scheduler::sequence_ref;

  void make(page_id count, std::int64_t max_sequences = 8) {
    pool.emplace(count);
    cache.emplace(*pool);
    plans.emplace(*pool, *cache, max_sequences);
    store.assign(static_cast<std::size_t>(count), {});
  }

  ref answer(std::vector<token_id> prompt, std::int64_t max_tokens,
             std::uint64_t caller = 0) {
    auto s = std::make_shared<sequence>();
    s->tokens = std::move(prompt);
    s->wanted_from = s->size() - 1;
    s->capacity = s->size() + max_tokens - 1;
    s->stays = 1 << 20;
    s->flow.caller = caller;
    return s;
  }

  /// Writes the step and reads all that attention would.
  void compute(const scheduler::plan& plan) {
    const auto work = make_step(plan);
    ASSERT_EQ(work.spans.size(), plan.chunks.size());
    std::set<std::pair<page_id, std::int64_t>> slots;
    for (std::size_t i = 0; i < work.spans.size(); ++i) {
      const auto& span = work.spans[i];
      for (auto t = span.begin; t < span.end; ++t) {
        const auto p = span.position + t - span.begin;
        const auto id =
            span.pages.at(static_cast<std::size_t>(p / kv_store::page_tokens));
        EXPECT_TRUE(slots.emplace(id, p % kv_store::page_tokens).second)
            << "two sequences write one slot";
        slot(id, p) = {work.tokens[static_cast<std::size_t>(t)], p,
                       name_of(plan.chunks[i].of->scope)};
      }
    }
    for (const auto& [from, to, tokens] : work.forks)
      for (std::int64_t p = 0; p < tokens; ++p) slot(to, p) = slot(from, p);
    for (std::size_t i = 0; i < work.spans.size(); ++i) {
      const auto& span = work.spans[i];
      const auto& s = *plan.chunks[i].of;
      for (std::int64_t p = 0; p < span.position + span.end - span.begin; ++p) {
        const written wanted{s.tokens[static_cast<std::size_t>(p)], p,
                             name_of(s.scope)};
        ASSERT_EQ(
            slot(
                span.pages[static_cast<std::size_t>(p / kv_store::page_tokens)],
                p),
            wanted)
            << "position " << p;
      }
    }
  }

  written& slot(page_id id, std::int64_t position) {
    return store[static_cast<std::size_t>(id)]
                [static_cast<std::size_t>(position % kv_store::page_tokens)];
  }

  /// A step; answers whose end is computed get a token or end. Tokens computed.
  std::int64_t step(priority urgency, std::int64_t budget) {
    const auto plan = plans->next(urgency, budget);
    for (const auto& [s, why] : plan.refused) {
      plans->remove(s);
      ++refused;
    }
    if (plan.chunks.empty()) return 0;
    compute(plan);
    std::int64_t tokens = 0;
    for (const auto& c : plan.chunks) tokens += c.count;
    EXPECT_LE(tokens, budget);
    std::vector<ref> wanted;
    for (const auto& [s, count] : plan.chunks)
      if (s->computed + count > s->wanted_from) wanted.push_back(s);
    plans->done(plan);
    for (const auto& s : wanted) {
      if (s->size() >= s->capacity || !s->answers) {
        if (s->pending() == 0) plans->remove(s);
        continue;
      }
      s->tokens.push_back(static_cast<token_id>(s->size() % 7));
      s->wanted_from = s->size() - 1;
    }
    return tokens;
  }

  void run_out(int most = 5000) {
    int steps = 0;
    while (!plans->of(priority::live).empty() ||
           !plans->of(priority::background).empty()) {
      ASSERT_LT(++steps, most) << "nothing moves";
      if (step(priority::live, 24) == 0) step(priority::background, 24);
    }
    EXPECT_EQ(pool->used(), 0);
    while (cache->evict()) {
    }
    EXPECT_EQ(pool->free(), pool->size()) << "a page is lost";
  }

  std::optional<page_pool> pool;
  std::optional<prefix_cache> cache;
  std::optional<scheduler> plans;
  std::vector<std::array<written, kv_store::page_tokens>> store;
  int refused = 0;
};

std::vector<token_id> prompt_of(std::int64_t count, token_id first) {
  std::vector<token_id> out;
  for (std::int64_t i = 0; i < count; ++i)
    out.push_back(first + static_cast<token_id>(i % 50));
  return out;
}

TEST_F(scheduling, who_asks_the_same_in_one_step_computes_it_once) {
  make(32);
  for (int i = 0; i < 4; ++i) plans->add(answer(prompt_of(40, 100), 1));
  auto other = prompt_of(40, 100);
  other[35] = 7;
  plans->add(answer(other, 1));
  const auto plan = plans->next(priority::live, 512);
  ASSERT_EQ(plan.chunks.size(), 5u);
  EXPECT_EQ(plan.chunks[0].count, 40);
  for (int i = 1; i < 4; ++i)
    EXPECT_EQ(plan.chunks[static_cast<std::size_t>(i)].count, 1)
        << "the last one's hidden state is wanted";
  EXPECT_EQ(plan.chunks[4].count, 8) << "three in a page are not worth a copy";
  EXPECT_EQ(plan.forks.size(), 3u);
  compute(plan);
  plans->done(plan);
  // Two full pages are all five's.
  EXPECT_EQ(pool->used(), 2 + 5);
}

TEST_F(scheduling, who_asks_the_same_waits_until_it_is_read) {
  make(64);
  for (int i = 0; i < 3; ++i) plans->add(answer(prompt_of(100, 100), 1));
  plans->add(answer(prompt_of(10, 300), 1));
  std::int64_t tokens = 0;
  while (const auto more = step(priority::live, 30)) tokens += more;
  EXPECT_EQ(tokens, 100 + 1 + 1 + 10);
}

TEST_F(scheduling, scopes_share_nothing) {
  make(64);
  for (const char* owner : {"a", "b"})
    for (const char* mixture : {"", "m"})
      for (const bool exact : {true, false}) {
        auto s = answer(prompt_of(40, 100), 1);
        s->scope = {owner, mixture, exact};
        plans->add(std::move(s));
      }
  EXPECT_EQ(step(priority::live, 512), 8 * 40);
}

TEST_F(scheduling, a_step_says_all_that_computing_needs) {
  make(32);
  auto scored = std::make_shared<sequence>();
  scored->answers = false;
  scored->tokens = prompt_of(20, 100);
  scored->last_token = 5;
  scored->other_firsts = {8, 9};
  scored->wanted_from = 17;
  scored->capacity = 20;
  scored->slot = 3;
  auto first = answer(prompt_of(4, 400), 2);
  plans->add(scored);
  plans->add(first);
  const auto work = make_step(plans->next(priority::live, 512));
  // The base first, then mixture by mixture.
  EXPECT_EQ(work.slots, (std::vector<delta_slot>{-1, 3}));
  ASSERT_EQ(work.tokens.size(), 24u);
  EXPECT_EQ(work.tokens[0], 400);
  EXPECT_EQ(work.tokens[4], 100);
  EXPECT_EQ(work.spans[1].begin, 4);
  EXPECT_EQ(work.spans[1].end, 24);
  EXPECT_EQ(work.spans[1].pages.size(), 2u);
  EXPECT_EQ(work.sampled, std::vector<std::int64_t>{3});
  // Of position 17 the text's own next token and the others' first ones.
  std::vector<std::pair<std::int64_t, token_id>> found;
  for (const auto& [row, token] : work.scored) found.emplace_back(row, token);
  EXPECT_EQ(found, (std::vector<std::pair<std::int64_t, token_id>>{
                       {21, 118}, {21, 8}, {21, 9}, {22, 119}, {23, 5}}));
  EXPECT_TRUE(work.may_truncate);
}

TEST_F(scheduling, what_a_step_that_failed_had_noted_is_found_by_nobody) {
  make(32);
  const auto first = answer(prompt_of(40, 100), 20);
  plans->add(first);
  step(priority::live, 20);
  const auto lost = plans->next(priority::live, 512);
  ASSERT_EQ(lost.chunks.size(), 1u);
  plans->failed(lost);
  plans->remove(first);
  const auto second = answer(prompt_of(40, 100), 1);
  plans->add(second);
  EXPECT_EQ(step(priority::live, 512), 20) << "what the first step computed";
  run_out();
}

TEST_F(scheduling, the_impossible_is_refused_and_the_rest_goes_on) {
  make(4);
  plans->add(answer(prompt_of(100, 100), 1));
  plans->add(answer(prompt_of(30, 200), 5));
  run_out();
  EXPECT_EQ(refused, 1);
}

// Random arrivals of callers with common beginnings, cancellations, lost steps
// and both priorities in a store that holds a part of them.
TEST_F(scheduling, never_reads_what_is_not_its_own) {
  std::uint64_t shared = 0, preemptions = 0;
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto draw = [&](unsigned below) {
      return static_cast<std::int64_t>(random() % below);
    };
    make(static_cast<page_id>(8 + draw(30)), 1 + draw(8));
    std::vector<ref> known;
    for (int event = 0; event < 250; ++event) {
      const auto what = draw(10);
      if (what < 3) {
        // One of three beginnings, cut anywhere, and an end of its own.
        auto tokens = prompt_of(draw(60), static_cast<token_id>(100 * draw(3)));
        for (auto more = 1 + draw(12); more > 0; --more)
          tokens.push_back(static_cast<token_id>(1000 + draw(3)));
        auto s = answer(std::move(tokens), 1 + draw(40),
                        static_cast<std::uint64_t>(draw(4)));
        s->flow.target = static_cast<std::uint64_t>(draw(2));
        s->scope.owner = std::to_string(draw(2));
        s->slot = static_cast<delta_slot>(draw(3)) - 1;
        s->scope.mixture = std::to_string(s->slot);
        if (draw(3) == 0) {
          s->urgency = priority::background;
          s->stays = draw(2) ? 0 : draw(40);
        }
        if (draw(3) == 0) {
          s->answers = false;
          s->wanted_from = draw(static_cast<unsigned>(s->size()));
          s->capacity = s->size();
        }
        known.push_back(s);
        plans->add(s);
      } else if (what == 3 && !known.empty()) {
        plans->remove(known[static_cast<std::size_t>(
            draw(static_cast<unsigned>(known.size())))]);
      } else if (what == 4 && draw(4) == 0) {
        const auto lost = plans->next(priority::live, 1 + draw(40));
        if (lost.chunks.empty()) continue;
        plans->failed(lost);
        for (const auto& c : lost.chunks) plans->remove(c.of);
      } else {
        step(draw(3) ? priority::live : priority::background, 1 + draw(60));
      }
      for (const auto& s : known) shared += s->found > 0;
      ASSERT_EQ(pool->used() + pool->idle() + pool->free(), pool->size());
      if (HasFatalFailure()) return;
    }
    run_out();
    preemptions += plans->preemptions();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(shared, 1000u);
  EXPECT_GT(preemptions, 100u);
}

}  // namespace
}  // namespace t2
