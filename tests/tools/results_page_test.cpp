// The page of results from measurements whose tables and verdicts are known:
// each is computed by hand here.
#include "tools/reproduce/results_page.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace t2::reproduce {
namespace {

using demo::family;

constexpr std::size_t questions = 20;

/// The first `right` of the questions.
std::string first(std::size_t right) {
  return std::string(right, '1') + std::string(questions - right, '0');
}
/// The last.
std::string last(std::size_t right) {
  return std::string(questions - right, '0') + std::string(right, '1');
}

/// Measurements of a world in which the base answers half and everything else
/// as much as a test says.
struct world {
  std::size_t svf = 18, lora = 15, lora_elsewhere = 6;
  std::size_t mlp = 17, attention = 14, next_token = 12;
  std::size_t prompt = 14, classifier = 15, five_shots = 17;
  std::size_t relatives_without_gain = 0;
  bool nulls_accepted = false;
  double pass_1_share = 0.2;
};

class results_page : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path{testing::TempDir()} / "t2-results-page";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  scope extent() const {
    return {.quick = true,
            .seeds = {1, 2},
            .questions = questions,
            .steps = 10,
            .training = 100,
            .shots = {1, 5},
            .null_draws = 1,
            .pool = {1},
            .iterations = 5,
            .timed = 10};
  }

  static ordered_json test_of(std::size_t right) {
    const auto reward = [](std::size_t n) {
      return 2.0 * static_cast<double>(n) / questions - 1;
    };
    const double change = reward(right) - reward(10);
    return {{"base_reward", reward(10)},
            {"reward", reward(right)},
            {"low", change - 0.1},
            {"high", change + 0.1}};
  }

  static ordered_json training(const study_family& on, std::size_t own,
                               std::size_t elsewhere) {
    ordered_json tests = ordered_json::object();
    tests[std::string{demo::to_string(on.grown_on)}] = test_of(own);
    for (const family f : on.relatives)
      tests[std::string{demo::to_string(f)}] = test_of(elsewhere);
    return {{"tests", tests}};
  }

  std::string page_of(const world& w) {
    const auto made = measurements::open(folder_ / "log.jsonl", extent());
    EXPECT_TRUE(made) << made.error().message;
    auto& log = **made;
    const auto put = [&](const std::string& id, const ordered_json& value) {
      EXPECT_TRUE(log.once(id, [&]() -> result<ordered_json> { return value; }));
    };
    for (const auto seed : extent().seeds) {
      for (const study_family& one : study_families()) {
        const auto of = [&](const std::string& recipe, std::size_t own,
                            std::size_t elsewhere) {
          put(training_id(one.grown_on, recipe, seed),
              training(one, own, elsewhere));
        };
        of(expert_recipe, w.svf, w.svf);
        of(lora_recipe, w.lora, w.lora_elsewhere);
        if (one.grown_on != family::math) continue;
        of("svf-mlp", w.mlp, 10);
        of("svf-attention", w.attention, 10);
        of("svf-next-token", w.next_token, 10);
        of("lora-next-token", w.next_token, 10);
      }
      std::size_t number = 0;
      for (const family f : relatives()) {
        put(strategies_id(f, seed), {{"base", first(10)},
                                     {"auto:prompt", first(w.prompt)},
                                     {"auto:classifier", first(w.classifier)}});
        put(few_shot_id(f, 1, seed), {{"accepted", false}});
        const bool gains = number++ >= w.relatives_without_gain;
        put(few_shot_id(f, 5, seed),
            {{"accepted", true}, {"right", first(gains ? w.five_shots : 10)}});
        put(control_id(f, seed), {{"right", first(10)}});
        ordered_json null = {
            {"accepted", w.nulls_accepted},
            {"scores",
             {{"held_out", {{"gain", 0.1}, {"standard_error", 0.2}}}}}};
        if (w.nulls_accepted) null["right"] = last(10);
        put(null_id(f, 0, seed), null);
      }
      for (const std::string strategy : {"prompt", "classifier"})
        put(confusion_id(strategy, seed),
            {{"labels", {"code", "math"}},
             {"matrix", {{3, 1}, {0, 4}}},
             {"accuracy", 0.875}});
    }
    for (const std::size_t n : {std::size_t{1}, std::size_t{8}})
      put(passes_id(n), {{"pass_1", 0.002},
                         {"pass_2", 0.002 / w.pass_1_share},
                         {"ratio", w.pass_1_share}});
    for (const bool chosen : {true, false})
      put(pool_id(1, chosen), {{"cost", {{"seconds", 1.5}, {"tokens", 100}}},
                               {"best", {{"log_likelihood", -0.25}}}});
    const auto page = folder_ / "docs/results.md";
    const auto written = write_results_page(page, log, extent());
    EXPECT_TRUE(written) << written.error().message;
    std::ostringstream text;
    text << std::ifstream(page).rdbuf();
    return text.str();
  }

  /// "Holds here: ..." behind a claim, its last sentence left out.
  static std::string verdict(const std::string& page, const std::string& claim) {
    const auto at = page.find("- **" + claim);
    EXPECT_NE(at, std::string::npos) << claim << "\n" << page;
    if (at == std::string::npos) return "";
    const auto begin = page.find(".** ", at) + 4;
    return page.substr(begin, page.find('\n', begin) - begin);
  }

  std::filesystem::path folder_;
};

TEST_F(results_page, holds_what_the_measurements_show) {
  const auto page = page_of({});
  EXPECT_EQ(verdict(page, "SVF experts by reinforcement improve"),
            "Holds here: under every seed, every interval lies above zero.");
  EXPECT_EQ(verdict(page, "SVF is as good as LoRA"),
            "Holds here: on 3 of 3 families.");
  EXPECT_EQ(verdict(page, "LoRA loses on unseen tasks"),
            "Holds here: below on 4 of 4.");
  EXPECT_EQ(verdict(page, "Few-shot adaptation is above the base"),
            "Holds here: above on 4 of 4, below on 0.");
  EXPECT_EQ(verdict(page, "Few-shot is at least as good as the classifier"),
            "Holds here: means 70.0 % (prompt), 75.0 % (classifier), 85.0 % "
            "(few-shot), but few-shot is below the prompt on 0 of 4.");
  EXPECT_EQ(verdict(page, "MLP projections matter more"),
            "Holds here: MLP 85.0 %, attention 70.0 %, both 90.0 %.");
  EXPECT_EQ(verdict(page, "Policy gradient is better than next-token"),
            "Holds here: 90.0 % by policy gradient, 60.0 % by next-token.");
  EXPECT_TRUE(verdict(page, "Pass 1 costs")
                  .starts_with("Holds here: 20 % at most"));
  EXPECT_EQ(verdict(page, "Shuffled z do not help"),
            "Holds here: no interval of a shuffled mixture lies above zero.");
  // Base 10 of 20, LoRA 15, SVF 18; gains 25 and 40 points, within 5.
  EXPECT_NE(page.find("| math | 50.0 % (50.0, 50.0) | 75.0 % (75.0, 75.0) | "
                      "90.0 % (90.0, 90.0) | +25.0 [+20.0, +30.0] | +40.0 "
                      "[+35.0, +45.0] |"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("| korean | 50.0 % | 50.0 % (0/2) | 85.0 % (2/2) |"),
            std::string::npos);
  // The base's matrix counts once, the classifiers' are added up.
  EXPECT_NE(page.find("| code | 3 | 1 |"), std::string::npos);
  EXPECT_NE(page.find("| code | 6 | 2 |"), std::string::npos);
  EXPECT_NE(page.find("8 searches by 5 examples"), std::string::npos);
  EXPECT_NE(page.find("0 were accepted"), std::string::npos);
}

TEST_F(results_page, says_what_does_not_hold) {
  const auto page = page_of({.svf = 10,
                             .lora = 19,
                             .lora_elsewhere = 12,
                             .mlp = 12,
                             .attention = 14,
                             .next_token = 16,
                             .prompt = 19,
                             .classifier = 15,
                             .five_shots = 12,
                             .pass_1_share = 0.6});
  EXPECT_EQ(verdict(page, "SVF experts by reinforcement improve"),
            "Does not hold here: not in every family under every seed.");
  EXPECT_TRUE(verdict(page, "SVF is as good as LoRA")
                  .starts_with("Does not hold here: on 0 of 3 families."));
  EXPECT_TRUE(verdict(page, "LoRA loses on unseen tasks")
                  .starts_with("Does not hold here: below on 0 of 4."));
  EXPECT_TRUE(
      verdict(page, "Few-shot is at least as good as the classifier")
          .starts_with("Does not hold here: means 95.0 % (prompt), 75.0 % "
                       "(classifier), 60.0 % (few-shot), but few-shot is below "
                       "the prompt on 4 of 4."));
  EXPECT_TRUE(verdict(page, "MLP projections matter more")
                  .starts_with("Does not hold here: MLP 60.0 %, attention "
                               "70.0 %, both 50.0 %."));
  EXPECT_TRUE(verdict(page, "Policy gradient is better")
                  .starts_with("Does not hold here: 50.0 %"));
  EXPECT_TRUE(verdict(page, "Pass 1 costs")
                  .starts_with("Does not hold here: 60 % at most"));
}

TEST_F(results_page, claims_of_all_want_all) {
  const auto page = page_of({.relatives_without_gain = 1});
  EXPECT_EQ(verdict(page, "Few-shot adaptation is above the base"),
            "Does not hold here: above on 3 of 4, below on 0.");
}

TEST_F(results_page, counts_searches_that_were_accepted_for_nothing) {
  // Other questions right than before, as many: neither better nor worse.
  const auto page = page_of({.nulls_accepted = true});
  EXPECT_NE(page.find("8 were accepted"), std::string::npos) << page;
  EXPECT_NE(page.find("these 0 answer the test better"), std::string::npos);
  EXPECT_NE(page.find("**100 %** of the searches"), std::string::npos);
}

}  // namespace
}  // namespace t2::reproduce
