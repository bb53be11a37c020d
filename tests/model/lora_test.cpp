#include "model/lora.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/lora_adapter.hpp"
#include "model/model_config.hpp"
#include "engine/rollout.hpp"
#include "model/safetensors.hpp"
#include "model/trainer_model.hpp"
#include "model/transformer.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

const std::filesystem::path& adapter_folder() {
  static const auto folder = test_asset("llama-smol-tiny-lora");
  return folder;
}

nlohmann::json golden() {
  return nlohmann::json::parse(std::ifstream{adapter_folder() / "golden.json"});
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// adapter_model.safetensors and golden.json were written by PEFT
// (make_lora_golden.py).
TEST(lora, gives_the_logits_loss_and_gradients_of_peft) {
  const auto model = load_test_model("llama-smol-tiny", "float32");
  const auto adapter = read_lora_adapter(adapter_folder(), model->config());
  ASSERT_TRUE(adapter) << adapter.error().message;
  EXPECT_EQ(adapter->layout->shape().rank, 4);
  EXPECT_EQ(adapter->layout->shape().kinds,
            (std::vector{projection_kind::query, projection_kind::value,
                         projection_kind::down}));
  auto linears =
      std::make_unique<lora_linears>(model->network(), adapter->layout);
  linears->set(adapter->values);
  const auto record = golden();
  const auto ids = record["input_ids"].get<std::vector<token_id>>();

  // As answers are sampled under it: the transformer's packed step.
  const auto size = static_cast<std::int64_t>(ids.size());
  kv_rows kv{model->network(), size};
  packed_step step{.tokens = ids,
                   .spans = {kv.span(0, size)},
                   .deltas = {nullptr},
                   .logit_rows = {size - 1},
                   .weights = &linears->dense()};
  const auto hidden = model->network().forward(step, kv.store());
  ASSERT_TRUE(hidden) << hidden.error().message;
  const auto logits = model->network().logits(*hidden).squeeze(0);
  const auto expected = record["last_logits"].get<std::vector<float>>();
  const auto wanted = at::from_blob(const_cast<float*>(expected.data()),
                                    {static_cast<std::int64_t>(expected.size())},
                                    at::kFloat);
  const auto far = (logits - wanted).norm().item<double>();
  EXPECT_LT(far, 1e-4 * wanted.norm().item<double>());
  EXPECT_GT(record["difference_from_base"].get<double>(), 1);

  // As it is trained.
  training_row row{.tokens = ids, .answer_begin = 1};
  row.weights.assign(ids.size() - 1, 1);
  trainer_model trainer{model, std::move(linears)};
  const auto found = trainer.loss_and_gradient({&row, 1}, 4096);
  ASSERT_TRUE(found) << found.error().message;
  const auto loss = record["loss"].get<double>();
  EXPECT_NEAR(found->loss, loss, 1e-5 * loss);
  const auto& norms = record["gradient_norms"];
  ASSERT_EQ(norms.size(), 2 * adapter->layout->places().size());
  for (const auto& place : adapter->layout->places()) {
    const auto stem = "base_model.model." +
                      place.where.weight.substr(
                          0, place.where.weight.rfind('.'));
    for (const bool is_a : {true, false}) {
      const auto name = stem + (is_a ? ".lora_A.weight" : ".lora_B.weight");
      const auto of = is_a ? adapter->layout->a_rn(found->gradient, place)
                           : adapter->layout->b_mr(found->gradient, place);
      const auto norm = norms.at(name).get<double>();
      EXPECT_NEAR(of.norm().item<double>(), norm, 1e-4 * norm) << name;
    }
  }
}

TEST(lora, refuses_projections_that_a_model_does_not_have) {
  const auto config = read_model_config(test_asset("gpt2-tiny"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(check_lora_targets(*config, {}));
  const auto gate =
      check_lora_targets(*config, {4, 8, {projection_kind::gate}});
  ASSERT_FALSE(gate);
  EXPECT_EQ(gate.error().message,
            "lora_targets: expected projections that gpt2 has, found "
            "'gate_proj'");
  // An adapter of a model that has them says so, and is not read.
  const auto adapter =
      read_lora_adapter(test_asset("llama-smol-tiny-lora"), *config);
  EXPECT_FALSE(adapter);
}

TEST(lora, gradient_equals_finite_differences) {
  const auto model = load_test_model("qwen2-tiny", "float32");
  const auto layout = std::make_shared<lora_layout>(
      model->config(),
      lora_shape{3, 6, {projection_kind::key, projection_kind::output,
                        projection_kind::up}});
  trainer_model trainer{
      model, std::make_unique<lora_linears>(model->network(), layout)};
  at::manual_seed(5);
  const auto values = at::randn({layout->total()}) * 0.1;
  const training_row row{.tokens = {5, 17, 9, 30, 2, 44, 8},
                         .answer_begin = 2,
                         .weights = {1, 0.5, -1, 2, 1}};
  const auto loss_at = [&](const at::Tensor& at) {
    trainer.set(at);
    return trainer.loss({&row, 1}, 512)->loss;
  };
  loss_at(values);
  const auto found = trainer.loss_and_gradient({&row, 1}, 512);
  ASSERT_TRUE(found) << found.error().message;
  for (int i = 0; i < 4; ++i) {
    const auto direction = at::randn({layout->total()});
    constexpr double h = 1e-3;
    const double slope =
        (loss_at(values + h * direction) - loss_at(values - h * direction)) /
        (2 * h);
    const auto expected = (found->gradient * direction).sum().item<double>();
    EXPECT_NEAR(slope, expected,
                0.01 * std::abs(expected) +
                    0.003 * found->gradient.norm().item<double>());
  }
}

TEST(lora, written_and_read_is_the_same_and_has_peft_s_names) {
  const auto model = load_test_model("llama-smol-tiny", "float32");
  const auto adapter = read_lora_adapter(adapter_folder(), model->config());
  ASSERT_TRUE(adapter);
  const auto folder = test_folder() / "lora-copy";
  ASSERT_TRUE(
      write_lora_adapter(folder, *adapter->layout, adapter->values, "base"));
  const auto again = read_lora_adapter(folder, model->config());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->values.equal(adapter->values));
  const auto ours = safetensors_file::open(folder / "adapter_model.safetensors");
  const auto theirs =
      safetensors_file::open(adapter_folder() / "adapter_model.safetensors");
  ASSERT_TRUE(ours);
  ASSERT_TRUE(theirs);
  ASSERT_EQ(ours->tensors().size(), theirs->tensors().size());
  for (std::size_t i = 0; i < ours->tensors().size(); ++i) {
    EXPECT_EQ(ours->tensors()[i].name, theirs->tensors()[i].name);
    EXPECT_EQ(ours->tensors()[i].shape, theirs->tensors()[i].shape);
  }
}

TEST(lora, refuses_an_adapter_that_it_would_compute_wrongly) {
  const auto model = load_test_model("llama-smol-tiny", "float32");
  const auto config =
      nlohmann::json::parse(bytes_of(adapter_folder() / "adapter_config.json"));
  const auto folder = test_folder() / "lora-strange";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(adapter_folder() / "adapter_model.safetensors",
                             folder / "adapter_model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  const auto read_with = [&](const char* key, const nlohmann::json& value) {
    auto changed = config;
    changed[key] = value;
    std::ofstream{folder / "adapter_config.json"} << changed.dump();
    const auto read = read_lora_adapter(folder, model->config());
    return read ? std::string{"read"} : std::string{to_string(read.error().code)};
  };
  EXPECT_EQ(read_with("lora_alpha", 12), "read");
  const std::string incompatible{to_string(ec::incompatible)},
      corrupt{to_string(ec::corrupt)};
  EXPECT_EQ(read_with("use_dora", true), incompatible);
  EXPECT_EQ(read_with("use_rslora", true), incompatible);
  EXPECT_EQ(read_with("bias", "all"), incompatible);
  EXPECT_EQ(read_with("peft_type", "LOHA"), incompatible);
  EXPECT_EQ(read_with("rank_pattern", {{"q_proj", 8}}), incompatible);
  EXPECT_EQ(read_with("target_modules", "all-linear"), incompatible);
  EXPECT_EQ(read_with("r", 5), corrupt);
  EXPECT_EQ(read_with("r", "4"), corrupt);
  EXPECT_EQ(read_with("target_modules", {"q_proj", "v_proj"}), corrupt);
  EXPECT_EQ(read_with("target_modules",
                      {"q_proj", "v_proj", "down_proj", "up_proj"}),
            corrupt);
}

}  // namespace
}  // namespace t2
