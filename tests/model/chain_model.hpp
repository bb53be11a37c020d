#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/language_model.hpp"
#include "model/safetensors.hpp"

namespace t2 {

/// Writes into `folder` a Llama of one layer with the tokenizer (and its chat
/// template) of another folder, whose next token depends on the last one
/// alone: after the first of a link the second is the likeliest, by a
/// probability of some percent. BOS is 1, EOS 2.
inline std::shared_ptr<language_model> chain_model(
    const std::filesystem::path& folder, const std::filesystem::path& words,
    const std::vector<std::pair<token_id, token_id>>& links) {
  constexpr std::int64_t hidden = 64;
  std::filesystem::create_directories(folder);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    std::filesystem::copy_file(
        words / file, folder / file,
        std::filesystem::copy_options::overwrite_existing);
  const auto text = tokenizer::load(folder);
  EXPECT_TRUE(text) << text.error().message;
  if (!text) return nullptr;
  const std::int64_t vocabulary = (*text)->vocab_size();
  std::ofstream{folder / "config.json"}
      << R"({"model_type":"llama","architectures":["LlamaForCausalLM"],
    "hidden_size":64,"intermediate_size":64,"num_hidden_layers":1,
    "num_attention_heads":4,"num_key_value_heads":4,
    "max_position_embeddings":512,"rms_norm_eps":1e-6,"hidden_act":"silu",
    "tie_word_embeddings":false,"bos_token_id":1,"eos_token_id":2,
    "rope_theta":10000.0,"torch_dtype":"float32","vocab_size":)"
      << vocabulary << "}";
  at::manual_seed(5);
  auto embedding = at::randn({vocabulary, hidden});
  embedding /= embedding.norm(2, {1}, true);
  auto head = at::zeros({vocabulary, hidden});
  for (const auto& [from, to] : links) head[to] += 1.2 * embedding[from];
  std::map<std::string, at::Tensor> tensors{
      {"model.embed_tokens.weight", embedding},
      {"lm_head.weight", head},
      {"model.norm.weight", at::ones({hidden})}};
  const std::string layer = "model.layers.0.";
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
    tensors[layer + norm + ".weight"] = at::ones({hidden});
  for (const char* map :
       {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
        "mlp.gate_proj", "mlp.up_proj"})
    tensors[layer + map + ".weight"] = 0.02 * at::randn({hidden, hidden});
  for (const char* map : {"self_attn.o_proj", "mlp.down_proj"})
    tensors[layer + map + ".weight"] = at::zeros({hidden, hidden});
  EXPECT_TRUE(write_safetensors(folder / "model.safetensors", tensors));
  auto model = language_model::load({.folder = folder,
                                     .device = "cpu",
                                     .dtype = "float32",
                                     .svd_cache = folder / "svd"});
  EXPECT_TRUE(model) << model.error().message;
  return model ? *model : nullptr;
}

}  // namespace t2
