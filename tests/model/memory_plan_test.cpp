#include "model/memory_plan.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "model/checkpoint.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

TEST(memory_plan, knows_the_published_sizes) {
  EXPECT_EQ(preset_shape("llama-135m")->parameters(), 134'515'008);
  EXPECT_EQ(preset_shape("llama3-8b")->parameters(), 8'030'261'248);
  EXPECT_EQ(preset_shape("llama3-70b")->parameters(), 70'553'706'496);
  EXPECT_FALSE(preset_shape("llama9"));
  for (const auto name : preset_shapes()) EXPECT_TRUE(preset_shape(name));
}

TEST(memory_plan, counts_exactly_the_bytes_of_real_checkpoints) {
  for (const auto* name : {"llama-smol-tiny", "llama3-tiny", "mistral-tiny",
                           "qwen2-tiny", "stories260k-hf", "qwen3-tiny",
                           "olmo2-tiny", "smollm3-tiny", "gemma3-tiny",
                           "phi3-tiny"}) {
    const auto folder = tests::assets() / name;
    const auto config = read_model_config(folder);
    const auto weights = checkpoint::open(folder);
    ASSERT_TRUE(config && weights) << name;
    std::int64_t bytes = 0;
    auto dtype = c10::ScalarType::Undefined;
    for (const auto& tensor : weights->source().tensors()) {
      bytes += static_cast<std::int64_t>(tensor.bytes.size());
      dtype = decode(tensor).scalar_type();
    }
    EXPECT_EQ(weight_bytes(*config, dtype), bytes) << name;
  }
}

TEST(memory_plan, counts_factors_copies_and_cache_of_8b_by_hand) {
  const auto config = *preset_shape("llama3-8b");
  const svf_layout mlp{config, svf_targets::mlp};
  constexpr std::int64_t n = 4096, m = 14336, layers = 32, bf16 = 2;
  EXPECT_EQ(factor_bytes(mlp, c10::kBFloat16),
            layers * 3 * ((m + n) * n * bf16 + n * 4));
  EXPECT_EQ(dense_bytes(mlp, c10::kBFloat16), layers * 3 * m * n * bf16);
  const svf_layout attention{config, svf_targets::attention};
  EXPECT_EQ(factor_bytes(attention, c10::kFloat),
            layers * (2 * (2 * n * n * 4 + n * 4) +
                      2 * ((n + 1024) * 1024 * 4 + 1024 * 4)));
  EXPECT_EQ(kv_bytes_per_token(config, c10::kBFloat16), 131072);
}

TEST(memory_plan, charges_each_plan_for_what_it_holds) {
  const auto config = *preset_shape("llama-135m");
  memory_request request{.dtype = c10::kFloat, .kv_tokens = 4096};
  const auto with = [&](linear_plan plan) {
    request.plan = plan;
    return plan_memory(config, request);
  };
  const auto base = with(linear_plan::base);
  EXPECT_EQ(base.weights, (134'515'008 + 49152 * 576) * 4);  // tied head
  EXPECT_EQ(base.factors + base.dense, 0);
  EXPECT_EQ(base.kv, 4096 * 2 * 30 * 3 * 64 * 4);
  EXPECT_EQ(base.logits, 64 * 49152 * 4);
  EXPECT_GT(base.activations, 0);
  const svf_layout layout{config, svf_targets::all};
  EXPECT_EQ(with(linear_plan::dense).total() - base.total(),
            dense_bytes(layout, c10::kFloat) + factor_bytes(layout, c10::kFloat));
  EXPECT_EQ(with(linear_plan::factored).total() - base.total(),
            factor_bytes(layout, c10::kFloat));
  EXPECT_EQ(with(linear_plan::delta).total(),
            with(linear_plan::factored).total());
  request.dense_copies = 3;
  EXPECT_EQ(with(linear_plan::dense).dense,
            3 * dense_bytes(layout, c10::kFloat));
}

}  // namespace
}  // namespace t2
