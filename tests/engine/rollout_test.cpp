// Rollouts against what transformers answers greedily, against themselves in
// other company, and with what they must refuse.
#include "engine/rollout.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/language_model.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

using nlohmann::json;

struct rollouts : testing::Test {
  void SetUp() override {
    model = load_test_model("llama-smol-tiny", "float32");
    ASSERT_NE(model, nullptr);
    std::ifstream file(test_asset("llama-smol-tiny") / "golden.json");
    record = json::parse(file)["prompts"];
  }

  std::vector<token_id> prompt(std::size_t i) const {
    return record[i]["input_ids"].get<std::vector<token_id>>();
  }

  std::vector<rollout> run(const std::vector<rollout_request>& requests,
                           const sampling_options& sampling) const {
    auto batch = rollout_batch::make(*model, requests, sampling);
    EXPECT_TRUE(batch) << batch.error().message;
    for (;;) {
      const auto more = batch->advance(*model, nullptr);
      EXPECT_TRUE(more) << more.error().message;
      if (!more || !*more) return batch->rollouts();
    }
  }

  static std::vector<token_id> answer(const rollout& r) {
    return {r.tokens.begin() + static_cast<std::ptrdiff_t>(r.answer_begin),
            r.tokens.end()};
  }

  std::shared_ptr<language_model> model;
  json record;
};

TEST_F(rollouts, without_chance_say_what_transformers_says) {
  std::vector<rollout_request> requests;
  for (std::size_t i = 0; i < record.size(); ++i)
    for (std::uint64_t copy = 0; copy < 2; ++copy)
      requests.push_back({prompt(i), copy});
  const auto found = run(requests, {.max_tokens = 32, .ignore_eos = true});
  ASSERT_EQ(found.size(), requests.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].answer_begin, requests[i].prompt.size());
    EXPECT_EQ(answer(found[i]),
              record[i / 2]["greedy_32"].get<std::vector<token_id>>());
    EXPECT_FALSE(found[i].ended);
  }
}

TEST_F(rollouts, are_the_same_alone_and_beside_more_than_a_batch) {
  const sampling_options sampling{
      .temperature = 1, .seed = 11, .max_tokens = 6, .ignore_eos = true};
  std::vector<rollout_request> requests;
  for (std::uint64_t i = 0; i < rollout_batch::rows_at_once + 7; ++i)
    requests.push_back({prompt(i / 3 % record.size()), i});
  const auto together = run(requests, sampling);
  ASSERT_EQ(together.size(), requests.size());
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{40},
                              requests.size() - 1}) {
    const auto alone = run({requests[i]}, sampling);
    EXPECT_EQ(alone.front().tokens, together[i].tokens) << i;
  }
  // Streams differ, so answers to one prompt do.
  EXPECT_NE(answer(together[0]), answer(together[1]));
}

TEST_F(rollouts, end_with_the_token_that_ends_them) {
  const auto ends = model->config().eos_tokens;
  ASSERT_FALSE(ends.empty());
  // At a high temperature every token is as likely: some answers end early.
  std::vector<rollout_request> requests;
  for (std::uint64_t i = 0; i < 64; ++i) requests.push_back({prompt(1), i});
  std::size_t ended = 0;
  for (const auto& r : run(requests, {.temperature = 100, .max_tokens = 60})) {
    const auto said = answer(r);
    const auto at = std::ranges::find_first_of(said, ends);
    EXPECT_EQ(r.ended, at != said.end());
    // Nothing follows an end.
    EXPECT_EQ(said.size(),
              r.ended ? static_cast<std::size_t>(at - said.begin()) + 1 : 60u);
    ended += r.ended;
  }
  EXPECT_GT(ended, 0u);
}

TEST_F(rollouts, refuse_prompts_that_cannot_be_answered) {
  const auto why = [&](std::vector<token_id> ids, std::int32_t most) {
    const auto made =
        rollout_batch::make(*model, {{std::move(ids), 0}}, {.max_tokens = most});
    return made ? "made" : made.error().message;
  };
  const auto& c = model->config();
  EXPECT_EQ(why({1, 2}, 4), "made");
  EXPECT_NE(why({}, 4).find("found 0"), std::string::npos);
  EXPECT_NE(why({-1}, 4).find("found -1"), std::string::npos);
  const auto beyond = static_cast<token_id>(c.vocabulary);
  EXPECT_NE(why({beyond}, 4).find("found " + std::to_string(beyond)),
            std::string::npos);
  const auto all = static_cast<std::int32_t>(c.max_positions);
  EXPECT_EQ(why({1}, all - 1), "made");
  EXPECT_NE(why({1, 2}, all - 1).find("expected a prompt of 1 to 1 tokens"),
            std::string::npos);
}

}  // namespace
}  // namespace t2
