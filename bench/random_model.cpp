// Writes a Hugging Face directory with random weights for a config.json: what
// speed is measured on does not depend on what a model says.
//   random_model CONFIG.json FOLDER [float32|bfloat16]
#include <ATen/ATen.h>

#include <cstdio>
#include <filesystem>
#include <map>

#include "config/durable_file.hpp"
#include "model/model_config.hpp"
#include "model/projection.hpp"
#include "model/safetensors.hpp"

namespace {

using namespace t2;

int fail(const error& e) {
  std::fprintf(stderr, "random_model: %s\n", e.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr,
                 "usage: random_model CONFIG.json FOLDER [float32|bfloat16]\n");
    return 2;
  }
  const std::filesystem::path folder = argv[2];
  const auto type = argc > 3 && std::string_view{argv[3]} == "bfloat16"
                        ? at::kBFloat16
                        : at::kFloat;
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(argv[1], folder / "config.json",
                             std::filesystem::copy_options::overwrite_existing);
  const auto config = read_model_config(folder);
  if (!config) return fail(config.error());
  at::manual_seed(79);
  const auto random = [&](std::vector<std::int64_t> shape) {
    return (at::randn(shape, at::kFloat) * 0.02).to(type);
  };
  const auto ones = [&] { return at::ones({config->hidden}, type); };

  // One shard a layer, and one for the rest: no more than a layer in memory.
  const auto shards = static_cast<int>(config->layers) + 1;
  std::string map;
  const auto write = [&](int number,
                         const std::map<std::string, at::Tensor>& tensors) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", number,
                  shards);
    for (const auto& [tensor, value] : tensors)
      map += (map.empty() ? "\"" : ",\"") + tensor + "\":\"" + name + "\"";
    return write_safetensors(folder / name, tensors, {{"format", "pt"}});
  };
  std::map<std::string, at::Tensor> rest{
      {"model.embed_tokens.weight", random({config->vocabulary, config->hidden})},
      {"model.norm.weight", ones()}};
  if (!config->tied_embeddings)
    rest["lm_head.weight"] = random({config->vocabulary, config->hidden});
  if (auto ok = write(1, rest); !ok) return fail(ok.error());
  rest.clear();
  const svf_layout layout{*config, svf_targets::all};
  for (std::int64_t l = 0; l < config->layers; ++l) {
    const auto prefix = "model.layers." + std::to_string(l) + ".";
    std::map<std::string, at::Tensor> tensors{
        {prefix + "input_layernorm.weight", ones()},
        {prefix + "post_attention_layernorm.weight", ones()}};
    for (const auto& p : layout.projections())
      if (p.layer == l)
        tensors[p.weight] = random({p.out_features, p.in_features});
    if (auto ok = write(static_cast<int>(l) + 2, tensors); !ok)
      return fail(ok.error());
  }
  const auto index = "{\"metadata\":{},\"weight_map\":{" + map + "}}";
  const auto ok = write_file_durably(
      folder / "model.safetensors.index.json",
      std::as_bytes(std::span{index.data(), index.size()}));
  return ok ? 0 : fail(ok.error());
}
