#include "model/gguf_family.hpp"

#include <algorithm>
#include <utility>

namespace t2 {
namespace {

/// What all families share, and then what is this one's own.
std::vector<weight_name> with(std::vector<weight_name> own) {
  std::vector<weight_name> names{
      {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},
      {"lm_head", "output"},
      {"model.layers.{}.input_layernorm", "blk.{}.attn_norm"},
      {"model.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"},
      {"model.layers.{}.self_attn.o_proj", "blk.{}.attn_output"},
      {"model.layers.{}.mlp.down_proj", "blk.{}.ffn_down"},
  };
  names.insert(names.end(), own.begin(), own.end());
  return names;
}

std::vector<weight_name> gated(std::vector<weight_name> own) {
  own.push_back({"model.layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"});
  own.push_back({"model.layers.{}.mlp.up_proj", "blk.{}.ffn_up"});
  return with(std::move(own));
}

/// Queries and keys by themselves; `how`: the order of a head's rows.
std::vector<weight_name> apart(stored_as how) {
  return {{"model.layers.{}.self_attn.q_proj", "blk.{}.attn_q", how},
          {"model.layers.{}.self_attn.k_proj", "blk.{}.attn_k", how},
          {"model.layers.{}.self_attn.v_proj", "blk.{}.attn_v"}};
}

std::vector<weight_name> together() {
  return {{"model.layers.{}.self_attn.q_proj", "blk.{}.attn_qkv",
           stored_as::query},
          {"model.layers.{}.self_attn.k_proj", "blk.{}.attn_qkv",
           stored_as::key},
          {"model.layers.{}.self_attn.v_proj", "blk.{}.attn_qkv",
           stored_as::value}};
}

std::vector<weight_name> normalised_heads() {
  auto names = apart(stored_as::itself);
  names.push_back({"model.layers.{}.self_attn.q_norm", "blk.{}.attn_q_norm"});
  names.push_back({"model.layers.{}.self_attn.k_norm", "blk.{}.attn_k_norm"});
  return names;
}

std::vector<weight_name> gemma3() {
  auto names = normalised_heads();
  names.push_back({"model.layers.{}.self_attn.output_norm",
                   "blk.{}.post_attention_norm"});
  names.push_back({"model.layers.{}.mlp.output_norm", "blk.{}.post_ffw_norm"});
  return gated(std::move(names));
}

std::vector<weight_name> gpt2() {
  auto names = together();
  names.push_back({"model.embed_positions", "position_embd"});
  names.push_back({"model.layers.{}.mlp.up_proj", "blk.{}.ffn_up"});
  return with(std::move(names));
}

std::vector<weight_name> phi3() {
  auto names = together();
  names.push_back({"model.layers.{}.mlp.gate_proj", "blk.{}.ffn_up",
                   stored_as::gate});
  names.push_back({"model.layers.{}.mlp.up_proj", "blk.{}.ffn_up",
                   stored_as::up});
  return with(std::move(names));
}

const std::vector<gguf_family>& families() {
  static const std::vector<gguf_family> all{
      {"gemma3", "gemma3_text", gemma3()},
      {"gpt2", "gpt2", gpt2()},
      {"llama", "llama", gated(apart(stored_as::rotated_pairs))},
      {"phi3", "phi3", phi3()},
      {"qwen2", "qwen2", gated(apart(stored_as::itself))},
      {"qwen3", "qwen3", gated(normalised_heads())},
  };
  return all;
}

}  // namespace

const gguf_family* find_gguf_family(std::string_view architecture) {
  const auto at =
      std::ranges::find(families(), architecture, &gguf_family::architecture);
  return at == families().end() ? nullptr : &*at;
}

std::string known_gguf_architectures() {
  std::string names;
  for (const auto& family : families())
    names += (names.empty() ? "" : ", ") + std::string{family.architecture};
  return names;
}

}  // namespace t2
