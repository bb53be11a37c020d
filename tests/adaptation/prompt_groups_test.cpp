#include "adaptation/prompt_groups.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "adaptation/paired_interval.hpp"
#include "adaptation/random_stream.hpp"

namespace t2 {
namespace {

TEST(prompt_groups, see_through_ids_answers_case_and_white_space) {
  const std::vector<example> examples{
      {.id = "a", .prompt = "What is 2 + 2?", .answer = "4"},
      {.id = "b", .prompt = "What is 3?", .answer = "4"},
      {.id = "c", .prompt = " what IS\n2 +  2?", .answer = "5"},
      {.id = "d",
       .messages = {{"user", "What is"}, {"user", "2 + 2?"}},
       .answer = "4"},
      {.id = "e", .prompt = "", .answer = "What is 3?"}};
  const auto groups = prompt_groups::of(examples);
  EXPECT_EQ(groups.items(), 5u);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups.members(0), (std::vector<std::size_t>{0, 2, 3}));
  EXPECT_EQ(groups.members(1), (std::vector<std::size_t>{1, 4}));
  EXPECT_DOUBLE_EQ(groups.share(2), 1.0 / 3);
  EXPECT_EQ(groups.means(std::vector<double>{1, 2, 3, 5, 6}),
            (std::vector<double>{3, 4}));
}

// Any list, with as many copies of each prompt as there happen to be.
RC_GTEST_PROP(prompt_groups, hold_a_prompt_out_with_all_its_copies,
              (const std::vector<std::uint8_t>& prompts, std::uint64_t seed)) {
  RC_PRE(!prompts.empty());
  const std::vector<std::uint64_t> hashes(prompts.begin(), prompts.end());
  const double fraction = *rc::gen::elementOf(
      std::vector<double>{0, 0.1, 0.25, 0.5, 0.9});
  const prompt_groups groups{hashes};
  const auto held = hold_out(groups, fraction, seed, 0);
  std::set<std::uint64_t> out, in;
  for (std::size_t i = 0; i < hashes.size(); ++i)
    (held[i] ? out : in).insert(hashes[i]);
  for (const auto hash : out) RC_ASSERT(!in.contains(hash));
  const std::set<std::uint64_t> all(hashes.begin(), hashes.end());
  const double wanted = std::round(fraction * static_cast<double>(all.size()));
  RC_ASSERT(static_cast<double>(out.size()) ==
            std::max(wanted, fraction > 0 ? 1.0 : 0.0));
}

// What was held out of data without copies stays what it was.
TEST(prompt_groups, hold_out_what_the_seed_draws_of_different_prompts) {
  std::vector<std::uint64_t> hashes(20);
  std::iota(hashes.begin(), hashes.end(), 100);
  const auto held = hold_out(prompt_groups{hashes}, 0.2, 7, 0);
  const auto order = random_stream{7, 0}.permutation(20);
  std::vector<bool> expected(20);
  for (int i = 0; i < 4; ++i) expected[order[static_cast<std::size_t>(i)]] = true;
  EXPECT_EQ(held, expected);
}

// Fifty times the same questions are no fifty times the evidence.
TEST(prompt_groups, keep_an_interval_as_wide_as_without_copies) {
  random_stream random{3};
  std::vector<std::uint64_t> once, often;
  std::vector<double> values, copied;
  for (std::uint64_t i = 0; i < 30; ++i) {
    const double value = random.normal();
    once.push_back(i);
    values.push_back(value);
    for (std::uint64_t k = 0; k <= i % 4; ++k) {
      often.push_back(i);
      copied.push_back(value);
    }
  }
  const auto alone = interval_of(prompt_groups{once}.means(values));
  const auto both = interval_of(prompt_groups{often}.means(copied));
  EXPECT_NEAR(both.mean, alone.mean, 1e-12);
  EXPECT_NEAR(both.low, alone.low, 1e-12);
  EXPECT_NEAR(both.high, alone.high, 1e-12);
  const auto naive = interval_of(copied);
  EXPECT_LT(naive.high - naive.low, both.high - both.low);
}

TEST(sample_mean, equals_scipy) {
  // scipy.stats.sem([2, 0, 0, -2, 2, 2])
  const auto found = mean_of(std::vector<double>{2, 0, 0, -2, 2, 2});
  EXPECT_DOUBLE_EQ(found.mean, 2.0 / 3);
  EXPECT_NEAR(found.standard_error, 0.6666666666666666, 1e-12);
  EXPECT_EQ(mean_of(std::vector<double>{3}).standard_error, 0);
  EXPECT_EQ(mean_of({}).mean, 0);
}

}  // namespace
}  // namespace t2
