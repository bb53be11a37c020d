#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/config_reader.hpp"
#include "model/model_config.hpp"
#include "model/weight_names.hpp"

namespace t2 {

/// How config.json of one `model_type` is read, and what its files call the
/// weights. A new family is one file: architectures/NAME.cpp, which defines
///
///   extern const architecture family_NAME{"model_type", read, names};
struct architecture {
  std::string_view model_type;
  /// Fills in the config; what is wrong is kept by the reader.
  void (*read)(config_reader& json, model_config& config);
  /// Null: Llama's names.
  weight_names (*names)() = nullptr;
};

/// Null for a model_type that t2 does not know.
const architecture* find_architecture(std::string_view model_type);
/// "llama, mistral, qwen2".
std::string known_architectures();

/// What a model_type assumes where config.json leaves a key out, as the
/// reference implementation (transformers) does, and what it calls the keys
/// that are not called as Llama's.
struct decoder_keys {
  /// 0: as many as num_attention_heads. An explicit null always means that.
  std::int64_t kv_heads = 0;
  /// 0: hidden_size / num_attention_heads.
  std::int64_t head_dim = 0;
  bool tied = false;
  double theta_default = 10000;
  const char* hidden = "hidden_size";
  const char* intermediate = "intermediate_size";
  /// Of the hidden size, where the file leaves it out or null; 0: it must be.
  std::int64_t intermediate_default = 0;
  const char* layers = "num_hidden_layers";
  const char* heads = "num_attention_heads";
  const char* positions = "max_position_embeddings";
  const char* epsilon = "rms_norm_eps";
  double epsilon_default = 1e-6;
  const char* activation = "hidden_act";
  const char* activation_default = "silu";
  const char* theta = "rope_theta";
  /// partial_rotary_factor says how much of each head is rotated.
  bool partial_rotary = false;
  /// original_max_position_embeddings where config.json does not name it beside
  /// its rotary settings; 0: what those say.
  std::int64_t original_positions = 0;
  /// Keys that t2 otherwise knows no other value for, and that this family
  /// reads itself.
  std::vector<std::string_view> own = {};
};

/// What `layer_types` says of the layers' attention.
enum class layer_kind { unsaid, full, sliding, mixed };

/// Kinds other than full and sliding attention, or another number than
/// num_hidden_layers, are refused. `windowed`: of each layer, where mixed.
layer_kind read_layer_types(config_reader& json, const model_config& config,
                            std::vector<bool>* windowed = nullptr);

/// A window for the layers that layer_types calls sliding; where it says
/// nothing, for all but every `every`-th.
void read_windows(config_reader& json, model_config& config,
                  std::int64_t every);

/// The names of blocks with norms before and behind, as Gemma's.
weight_names names_with_norms_around();

/// The window of Qwen2 and Qwen3: it counts only where use_sliding_window is
/// on, and then in the layers that layer_types calls sliding, or else from
/// layer max_window_layers up.
void read_qwen_window(config_reader& json, model_config& config);

/// Reads what all these decoders share: sizes, heads, norm, rotary embedding,
/// activation, tied embeddings. The block is the caller's, and set before;
/// biases and windows are the caller's too.
void read_decoder(config_reader& json, model_config& config,
                  const decoder_keys& keys);

}  // namespace t2
