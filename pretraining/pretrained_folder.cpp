#include "pretraining/pretrained_folder.hpp"

#include <ATen/ops/contiguous.h>

#include <nlohmann/json.hpp>

#include "config/durable_file.hpp"
#include "model/safetensors.hpp"
#include "pretraining/pretraining_corpus.hpp"

namespace t2 {
namespace {

using nlohmann::ordered_json;

ordered_json config_json(const model_config& c, at::ScalarType dtype) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", c.vocabulary},
          {"hidden_size", c.hidden},
          {"intermediate_size", c.intermediate},
          {"num_hidden_layers", c.layers},
          {"num_attention_heads", c.heads},
          {"num_key_value_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"hidden_act", "silu"},
          {"max_position_embeddings", c.max_positions},
          {"rms_norm_eps", c.norm_epsilon},
          {"rope_theta", c.rope_theta},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"tie_word_embeddings", true},
          {"bos_token_id", nullptr},
          {"eos_token_id", pretrained::end},
          {"pad_token_id", pretrained::pad},
          {"torch_dtype", dtype == at::kFloat ? "float32" : "bfloat16"}};
}

ordered_json tokenizer_config_json(const model_config& c) {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"model_max_length", c.max_positions},
          {"clean_up_tokenization_spaces", false},
          {"bos_token", nullptr},
          {"eos_token", pretrained::special_tokens[pretrained::end]},
          {"pad_token", pretrained::special_tokens[pretrained::pad]},
          {"chat_template", pretrained::chat_template}};
}

}  // namespace

result<void> write_pretrained(const std::filesystem::path& folder,
                              const pretrained_folder& what) {
  const auto write = [&](const char* name, const std::string& text) {
    return write_file_durably(folder / name, std::string_view{text});
  };
  const result<void> written[] = {
      write("tokenizer.json", what.tokenizer_json),
      write("tokenizer_config.json",
            tokenizer_config_json(what.config).dump(2) + "\n"),
      write("generation_config.json",
            ordered_json{{"eos_token_id", pretrained::end},
                         {"pad_token_id", pretrained::pad}}
                    .dump(2) +
                "\n"),
      write("config.json", config_json(what.config, what.dtype).dump(2) + "\n"),
      write("pretraining.json", what.record_json),
  };
  for (const auto& one : written)
    if (!one) return one.error();
  std::map<std::string, at::Tensor> stored;
  for (const auto& [name, tensor] : what.weights)
    stored.emplace(name, tensor.to(what.dtype).contiguous());
  return write_safetensors(folder / "model.safetensors", stored,
                           {{"format", "pt"}});
}

}  // namespace t2
