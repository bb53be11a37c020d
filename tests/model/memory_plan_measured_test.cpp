// The plan's arithmetic against what the process really takes on the 135M
// shape: anonymous memory (Linux's RssAnon), since mapped files are not it.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "model/language_model.hpp"
#include "model/memory_plan.hpp"
#include "model/safetensors.hpp"
#include "model/transformer.hpp"
#include "tests/model/kv_rows.hpp"
#include "tests/model/test_model.hpp"

#ifndef __SANITIZE_ADDRESS__  // whose shadow is anonymous memory too

namespace t2 {
namespace {

double anonymous_bytes() {
  malloc_trim(0);  // what was freed does not count
  std::ifstream status{"/proc/self/status"};
  std::string word;
  double kib = 0;
  while (status >> word)
    if (word == "RssAnon:") status >> kib;
  return kib * 1024;
}

/// The 135M shape with random weights in bfloat16, on disk.
std::filesystem::path write_model() {
  const auto folder = test_folder() / "135m";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(test_asset("smollm2") / "config.json",
                             folder / "config.json",
                             std::filesystem::copy_options::overwrite_existing);
  const auto config = *read_model_config(folder);
  at::manual_seed(1);
  const auto random = [](std::vector<std::int64_t> shape) {
    return (at::randn(shape) * 0.02).to(at::kBFloat16);
  };
  std::map<std::string, at::Tensor> tensors{
      {"model.embed_tokens.weight",
       random({config.vocabulary, config.hidden})},
      {"model.norm.weight", random({config.hidden})}};
  for (std::int64_t l = 0; l < config.layers; ++l)
    for (const char* name : {"input_layernorm", "post_attention_layernorm"})
      tensors["model.layers." + std::to_string(l) + "." + name + ".weight"] =
          random({config.hidden});
  const svf_layout layout{config, svf_targets::all};
  for (const auto& p : layout.projections())
    tensors[p.weight] = random({p.out_features, p.in_features});
  EXPECT_TRUE(write_safetensors(folder / "model.safetensors", tensors));
  return folder;
}

/// Writes every slot of so many positions.
void fill(const language_model& model, kv_rows& kv, std::int64_t positions) {
  const auto& c = model.config();
  const std::array spans{kv.span(0, positions)};
  auto qkv = at::zeros({positions, (c.heads + 2 * c.kv_heads) * c.head_dim},
                       at::kBFloat16);
  for (std::int64_t layer = 0; layer < c.layers; ++layer)
    kernels::backend_for(c10::kCPU, at::kBFloat16)
        .rotate_and_store(qkv, {kv.store(), spans}, {}, layer, c.heads,
                          c.kv_heads);
}

TEST(memory_plan, is_what_the_135m_shape_takes) {
  const auto folder = write_model();
  const double before = anonymous_bytes();
  const auto model = *language_model::load({.folder = folder,
                                            .dtype = "bfloat16",
                                            .svd_cache = test_folder() / "svd"});
  const auto& config = model->config();
  const double loaded = anonymous_bytes();
  memory_request request{.dtype = c10::kBFloat16,
                         .targets = svf_targets::attention,
                         .kv_tokens = 4096};
  const auto base = plan_memory(config, request);
  // The embedding stays in the mapped file.
  const auto embedding =
      static_cast<double>(2 * config.vocabulary * config.hidden);
  const auto expected = static_cast<double>(base.weights) - embedding;
  EXPECT_NEAR(loaded - before, expected, 0.05 * expected);

  kv_rows kv{model->network(), 4096};
  kv_rows beyond{model->network(), 1 << 20};  // what is not written takes nothing
  fill(*model, kv, 4096);
  const double cached = anonymous_bytes();
  EXPECT_NEAR(cached - loaded, static_cast<double>(base.kv),
              0.05 * static_cast<double>(base.kv));

  const auto layout = std::make_shared<svf_layout>(config, request.targets);
  const auto delta = *singular_delta::make(layout, at::ones({layout->total()}));
  // Decomposed on first use, whose workspace is not the plan's.
  ASSERT_TRUE(model->network().warm(delta));
  request.plan = linear_plan::dense;
  const auto dense = plan_memory(config, request);
  const auto more = static_cast<double>(dense.factors + dense.dense);
  // What the libraries compile and keep does not grow with the model.
  const double compiled = 8 << 20;
  EXPECT_NEAR(anonymous_bytes() - cached, more, 0.05 * more + compiled);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace t2

#endif
