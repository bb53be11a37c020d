#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/result.hpp"

namespace t2 {

/// Llama 3's stretching of the low rotary frequencies.
struct llama3_rope_scaling {
  double factor = 8;
  double low_frequency_factor = 1;
  double high_frequency_factor = 4;
  std::int64_t original_max_positions = 8192;
};

/// YaRN's: low frequencies are stretched, high ones kept, those between mixed.
struct yarn_rope_scaling {
  double factor = 1;
  double beta_fast = 32, beta_slow = 1;  // turns within the original context
  std::int64_t original_max_positions = 0;
  bool truncate = true;  // the range to whole dimensions
};

enum class norm_kind : std::uint8_t { rms, layer };
/// Of queries and keys before they are rotated: each head, or all heads of a
/// token at once.
enum class head_norm : std::uint8_t { none, each, whole };
enum class activation_kind : std::uint8_t { silu, gelu, gelu_tanh };

/// What a decoder's blocks compute. The defaults are Llama's.
struct block_spec {
  norm_kind norm = norm_kind::rms;
  /// Norm weights are stored minus one.
  bool norm_plus_one = false;
  /// Norms of the inputs of attention and MLP, and of their outputs.
  bool norm_before = true, norm_behind = false;
  head_norm heads = head_norm::none;
  activation_kind activation = activation_kind::silu;
  /// activation(gate) ⊙ up; else activation(up).
  bool gated = true;
  /// Attention and MLP read the same residual stream.
  bool parallel = false;
  /// Positions are embeddings that are learnt, not rotations.
  bool learned_positions = false;
  /// Of each head the first so many entries are rotated; 0: all.
  std::int64_t rotated_dims = 0;
  /// Of q · k; none: 1 / √head_dim.
  std::optional<double> attention_scale;
  /// Of a looked-up row.
  double embedding_scale = 1;
  /// Scores and logits x become cap · tanh(x / cap); 0: they do not.
  double attention_cap = 0, logit_cap = 0;

  bool operator==(const block_spec&) const = default;
};

/// How a layer attends.
struct layer_attention {
  /// Query i sees keys i - window + 1 .. i; 0: all keys up to i.
  std::int64_t window = 0;
  /// Which rotary table; -1: none.
  int rotary = 0;
};

/// A decoder, as its config.json and
/// generation_config.json describe it. Every value has been checked: sizes are
/// positive and bounded, heads divide, and the whole fits 64-bit arithmetic.
struct model_config {
  std::string model_type;
  std::int64_t vocabulary = 0;
  std::int64_t hidden = 0;
  std::int64_t intermediate = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_positions = 0;
  double norm_epsilon = 1e-5;
  double rope_theta = 10000;
  std::optional<llama3_rope_scaling> rope_scaling;
  /// Frequencies are divided by this (rope type linear).
  double rope_factor = 1;
  std::optional<yarn_rope_scaling> yarn;
  /// Each frequency is divided by its own (LongRoPE's short factors); empty:
  /// none is.
  std::vector<double> rope_divisors;
  /// Of cosines and sines (YaRN, LongRoPE).
  double rope_magnitude = 1;
  /// Query i sees keys i - window + 1 .. i; none: all keys up to i.
  std::optional<std::int64_t> sliding_window;
  /// Which layers have the window; empty: all.
  std::vector<bool> windowed_layers;
  /// Base of the windowed layers' frequencies, which are not scaled.
  std::optional<double> windowed_rope_theta;
  /// Which layers rotate; empty: all.
  std::vector<bool> rotated_layers;
  block_spec block;
  bool query_key_value_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  bool tied_embeddings = false;
  std::optional<std::int32_t> bos_token;
  std::vector<std::int32_t> eos_tokens;

  std::int64_t parameters() const;
  layer_attention attention(std::int64_t layer) const;
  /// 1, or 2 where windowed layers have a base of their own.
  int rotary_tables() const { return windowed_rope_theta ? 2 : 1; }
  std::int64_t rotated_dims() const {
    return block.rotated_dims > 0 ? block.rotated_dims : head_dim;
  }
  double attention_scale() const;
  /// What of a config makes the model compute what it computes, as JSON with
  /// sorted keys: two spellings of one model give the same bytes.
  std::string canonical_json() const;
};

/// Of a folder: reads config.json through the registry (architecture.hpp), and
/// the end-of-sequence tokens of generation_config.json where it has one. Of a
/// GGUF file: its metadata, through the same registry.
result<model_config> read_model_config(const std::filesystem::path& model);

}  // namespace t2
