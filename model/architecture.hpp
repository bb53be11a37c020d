#pragma once

#include <string>
#include <string_view>

#include "model/config_reader.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// How config.json of one `model_type` is read. A new architecture of the
/// Llama family is one file in architectures/, its declaration below, and its
/// line in the table of architecture.cpp.
struct architecture {
  std::string_view model_type;
  /// Fills in the config; what is wrong is kept by the reader.
  void (*read)(config_reader& json, model_config& config);
};

/// Null for a model_type that t2 does not know.
const architecture* find_architecture(std::string_view model_type);
/// "llama, mistral, qwen2".
std::string known_architectures();

// architectures/*.cpp
void read_llama(config_reader& json, model_config& config);
void read_mistral(config_reader& json, model_config& config);
void read_qwen2(config_reader& json, model_config& config);

/// What a model_type assumes where config.json leaves a key out, as the
/// reference implementation (transformers) does.
struct decoder_defaults {
  /// 0: as many as num_attention_heads. An explicit null always means that.
  std::int64_t kv_heads = 0;
};

/// What `layer_types` says of the layers' attention.
enum class layer_kind { unsaid, full, sliding };

/// All layers are of one kind here; a mixture, other kinds, or another number
/// than num_hidden_layers is refused.
layer_kind read_layer_types(config_reader& json, const model_config& config);

/// Reads what all these decoders share: sizes, heads, norm, rotary embedding,
/// activation, tied embeddings. Biases and windows are left to the caller.
void read_decoder(config_reader& json, model_config& config,
                  decoder_defaults defaults);

}  // namespace t2
