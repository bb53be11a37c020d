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

/// A decoder of the Llama family, as its config.json and
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
  /// Query i sees keys i - window + 1 .. i; none: all keys up to i.
  std::optional<std::int64_t> sliding_window;
  bool query_key_value_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  bool tied_embeddings = false;
  std::optional<std::int32_t> bos_token;
  std::vector<std::int32_t> eos_tokens;

  std::int64_t parameters() const;
  /// What of a config makes the model compute what it computes, as JSON with
  /// sorted keys: two spellings of one model give the same bytes.
  std::string canonical_json() const;
};

/// Reads `folder`/config.json through the registry (architecture.hpp), and the
/// end-of-sequence tokens of generation_config.json where it has one.
result<model_config> read_model_config(const std::filesystem::path& folder);

}  // namespace t2
