// Frequencies and magnitudes against what transformers computes
// (make_rope_cases.py).
#include "model/rotary.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

using nlohmann::json;

result<model_config> read(json config, const json& changes) {
  config.update(changes);
  const auto folder = test_folder() / "rotary";
  std::filesystem::create_directories(folder);
  std::ofstream{folder / "config.json"} << config;
  return read_model_config(folder);
}

json cases() {
  std::ifstream in(tests::source_folder() / "tests/model/rope_cases.json");
  return json::parse(in);
}

TEST(rotary, has_the_frequencies_that_transformers_has) {
  const auto all = cases();
  ASSERT_GE(all.size(), 18u);
  for (std::size_t i = 1; i < all.size(); ++i) {
    SCOPED_TRACE(all[i][0].dump());
    const auto config = read(all[0], all[i][0]);
    ASSERT_TRUE(config) << config.error().message;
    const auto& frequencies = all[i][1];
    const auto magnitude = all[i][2].get<double>();
    const auto table = make_rotary_table(*config, 64);
    ASSERT_EQ(table.cos_pd.size(1),
              static_cast<std::int64_t>(frequencies.size()));
    for (std::int64_t pair = 0; pair < table.cos_pd.size(1); ++pair)
      for (const std::int64_t p : {0, 1, 7, 63}) {
        const auto angle =
            static_cast<double>(p) *
            frequencies[static_cast<std::size_t>(pair)].get<double>();
        EXPECT_NEAR(table.cos_pd[p][pair].item<double>(),
                    magnitude * std::cos(angle), 1e-5)
            << pair << " at " << p;
        EXPECT_NEAR(table.sin_pd[p][pair].item<double>(),
                    magnitude * std::sin(angle), 1e-5)
            << pair << " at " << p;
      }
  }
}

TEST(rotary, keeps_longrope_within_the_context_whose_factors_it_has) {
  const auto all = cases();
  const json scaling{{"rope_type", "longrope"},
                     {"original_max_position_embeddings", 512},
                     {"short_factor", std::vector<double>(12, 1.0)},
                     {"long_factor", std::vector<double>(12, 2.0)}};
  const auto config =
      read(all[0], {{"model_type", "phi3"},
                    {"original_max_position_embeddings", 512},
                    {"rope_scaling", scaling}});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->max_positions, 512);
}

TEST(rotary, refuses_settings_that_it_cannot_follow) {
  const auto all = cases();
  const std::vector<std::pair<json, const char*>> wrong{
      {{{"rope_type", "proportional"}}, "rope_type"},
      {{{"rope_type", "yarn"}}, "factor"},
      {{{"rope_type", "yarn"}, {"factor", "much"}}, "factor"},
      {{{"rope_type", "dynamic"}}, "factor"},
      {{{"rope_type", "longrope"}}, "short_factor"},
      {{{"rope_type", "longrope"}, {"short_factor", {1.0, 2.0}}},
       "short_factor"},
      {{{"rope_type", "longrope"},
        {"short_factor", std::vector<double>(12, 0.0)}},
       "short_factor"}};
  for (const auto& [scaling, key] : wrong) {
    const auto config =
        read(all[0], {{"model_type", "llama"}, {"rope_scaling", scaling}});
    ASSERT_FALSE(config) << scaling;
    EXPECT_NE(config.error().message.find(key), std::string::npos)
        << config.error().message;
    EXPECT_EQ(config.error().message.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace t2
