#pragma once

#include <ATen/ops/empty.h>

#include <memory>

#include "adaptation/random_stream.hpp"
#include "model/model_config.hpp"
#include "model/projection.hpp"

namespace t2 {

/// A config of two layers with projections of different ranks.
inline model_config tiny_config() {
  model_config config;
  config.model_type = "llama";
  config.vocabulary = 32;
  config.hidden = 8;
  config.intermediate = 12;
  config.layers = 2;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 4;
  config.max_positions = 64;
  return config;
}

inline std::shared_ptr<const svf_layout> tiny_layout(
    svf_targets targets = svf_targets::all) {
  return std::make_shared<svf_layout>(tiny_config(), targets);
}

/// Uniform in [low, high), float32 [size].
inline at::Tensor random_vector(std::int64_t size, float low, float high,
                                std::uint64_t seed) {
  at::Tensor out = at::empty({size}, at::kFloat);
  random_stream random{seed};
  for (std::int64_t i = 0; i < size; ++i)
    out.mutable_data_ptr<float>()[i] =
        low + (high - low) * static_cast<float>(random.uniform());
  return out;
}

}  // namespace t2
