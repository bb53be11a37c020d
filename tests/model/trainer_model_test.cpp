#include "model/trainer_model.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "model/lora.hpp"
#include "model/safetensors.hpp"
#include "model/svf_training.hpp"
#include "model/transformer.hpp"
#include "tests/model/test_model.hpp"

namespace t2 {
namespace {

// Two layers whose sizes the fused pass takes, with biases.
std::shared_ptr<language_model> made_model(const char* dtype) {
  const auto folder = test_folder() / "fused";
  std::filesystem::create_directories(folder);
  std::ofstream{folder / "config.json"} << R"({"model_type":"qwen2",
    "architectures":["Qwen2ForCausalLM"],"vocab_size":50,"hidden_size":32,
    "intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":4,
    "num_key_value_heads":2,"max_position_embeddings":64,"rms_norm_eps":1e-5,
    "hidden_act":"silu","tie_word_embeddings":true,"bos_token_id":1,
    "eos_token_id":0,"rope_theta":10000.0,"use_sliding_window":false,
    "torch_dtype":"float32"})";
  at::manual_seed(11);
  std::map<std::string, at::Tensor> tensors{
      {"model.embed_tokens.weight", at::randn({50, 32}) * 0.5},
      {"model.norm.weight", 1 + at::randn({32}) * 0.1}};
  const std::map<std::string, std::vector<std::int64_t>> shapes{
      {"self_attn.q_proj.weight", {32, 32}},
      {"self_attn.k_proj.weight", {16, 32}},
      {"self_attn.v_proj.weight", {16, 32}},
      {"self_attn.o_proj.weight", {32, 32}},
      {"self_attn.q_proj.bias", {32}},
      {"self_attn.k_proj.bias", {16}},
      {"self_attn.v_proj.bias", {16}},
      {"mlp.gate_proj.weight", {48, 32}},
      {"mlp.up_proj.weight", {48, 32}},
      {"mlp.down_proj.weight", {32, 48}}};
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
      tensors[layer + norm + ".weight"] = 1 + at::randn({32}) * 0.1;
    for (const auto& [name, shape] : shapes)
      tensors[layer + name] = at::randn(shape) * 0.25;
  }
  EXPECT_TRUE(write_safetensors(folder / "model.safetensors", tensors));
  auto model = language_model::load({.folder = folder,
                                     .device = "cpu",
                                     .dtype = dtype,
                                     .svd_cache = test_folder() / "svd"});
  EXPECT_TRUE(model) << model.error().message;
  return model ? *model : nullptr;
}

std::vector<training_row> rows() {
  return {{.tokens = {5, 17, 9, 30, 2, 44, 8, 1, 3},
           .answer_begin = 4,
           .weights = {1, 0.5, -1, 2, 1},
           .kl_weight = 0.7f},
          {.tokens = {4, 2, 49}, .answer_begin = 1, .weights = {-1, 1}},
          {.tokens = {7, 3, 8, 8, 12},
           .answer_begin = 3,
           .weights = {0, 0},
           .kl_weight = 1.5f}};
}

std::unique_ptr<adapted_linears> make_linears(language_model& model,
                                              bool lora) {
  if (lora)
    return std::make_unique<lora_linears>(
        model.network(),
        std::make_shared<lora_layout>(
            model.config(),
            lora_shape{3, 6, {projection_kind::query, projection_kind::value,
                              projection_kind::up}}));
  auto made = svf_linears::make(
      model.network(),
      std::make_shared<svf_layout>(model.config(), svf_targets::all));
  EXPECT_TRUE(made) << made.error().message;
  return *std::move(made);
}

class fused_passes
    : public testing::TestWithParam<std::tuple<const char*, bool>> {};

// Autograd is the reference: loss, divergences and gradient.
TEST_P(fused_passes, compute_what_autograd_does) {
  const auto [dtype, lora] = GetParam();
  const auto model = made_model(dtype);
  ASSERT_TRUE(fused_pass::supports(model->network()));
  trainer_model trainer{model, make_linears(*model, lora)};
  at::manual_seed(3);
  trainer.set(at::randn({trainer.linears().size()}) * 0.2);
  const auto learnt = rows();
  for (const std::int64_t tokens : {6, 4096}) {  // several passes, and one
    const auto fused = trainer.loss_and_gradient(learnt, tokens);
    ASSERT_TRUE(fused) << fused.error().message;
    trainer.force_graph(true);
    const auto graph = trainer.loss_and_gradient(learnt, tokens);
    trainer.force_graph(false);
    ASSERT_TRUE(graph) << graph.error().message;
    const double near = std::string{dtype} == "float32" ? 2e-5 : 3e-2;
    EXPECT_NEAR(fused->loss, graph->loss, near * std::abs(graph->loss));
    for (std::size_t i = 0; i < learnt.size(); ++i) {
      EXPECT_NEAR(fused->log_probabilities[i], graph->log_probabilities[i],
                  near * std::abs(graph->log_probabilities[i]));
      EXPECT_NEAR(fused->divergences[i], graph->divergences[i],
                  near * (1 + graph->divergences[i]));
    }
    EXPECT_EQ(fused->divergences[1], 0);
    EXPECT_GT(fused->divergences[2], 0);
    const auto size = graph->gradient.norm().item<double>();
    EXPECT_GT(size, 0.1);
    EXPECT_LT((fused->gradient - graph->gradient).norm().item<double>(),
              near * size);
  }
}

INSTANTIATE_TEST_SUITE_P(
    of, fused_passes,
    testing::Combine(testing::Values("float32", "bfloat16"), testing::Bool()),
    [](const auto& of) {
      return std::string{std::get<0>(of.param)} +
             (std::get<1>(of.param) ? "_lora" : "_svf");
    });

TEST(trainer, diverges_from_the_base_by_nothing_at_the_base) {
  for (const bool graph : {false, true}) {
    const auto model = made_model("bfloat16");
    trainer_model trainer{model, make_linears(*model, false)};
    trainer.force_graph(graph);
    trainer.set(at::zeros({trainer.linears().size()}));
    auto learnt = rows();
    for (auto& row : learnt) std::ranges::fill(row.weights, 0.f);
    const auto found = trainer.loss_and_gradient(learnt, 4096);
    ASSERT_TRUE(found);
    EXPECT_NEAR(found->loss, 0, 1e-6);
    EXPECT_LT(found->gradient.norm().item<double>(), 1e-5);
  }
}

}  // namespace
}  // namespace t2
