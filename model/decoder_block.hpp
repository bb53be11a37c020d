#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/model_config.hpp"

namespace t2 {

/// float32 [H]. No weight: the rows pass as they are. A bias has a layer norm
/// alone.
struct norm_weights {
  at::Tensor weight = {}, bias = {};
};

struct layer_norms {
  norm_weights attention, mlp;                // of their inputs
  norm_weights attention_output, mlp_output;  // of what they return
  norm_weights query, key;                    // of heads
};

/// What of a decoder are not its linear maps; any of them may require a
/// gradient.
struct decoder_weights {
  at::Tensor embedding_vh;
  at::Tensor positions_ph;  // learned positions; else undefined
  std::vector<layer_norms> layers;
  norm_weights final_norm;
};

/// What a pass does with the rows of a block, in a type of its own: the
/// engine's steps and the training graph are two.
class block_operations {
 public:
  virtual ~block_operations() = default;
  /// residual + update (if defined), which becomes the residual, normalised and
  /// in the compute type.
  virtual at::Tensor add_norm(at::Tensor& residual_th,
                              const at::Tensor& update_th,
                              const norm_weights& norm) = 0;
  /// What attention or the MLP returned, normalised.
  virtual at::Tensor norm(const at::Tensor& x_th, const norm_weights& norm) = 0;
  /// q, k and v of x, heads normalised and rotated, attention; up to the
  /// output's projection: [T, Q].
  virtual at::Tensor attend(std::int64_t layer, const at::Tensor& x_th) = 0;
  virtual at::Tensor attention_output(std::int64_t layer,
                                      const at::Tensor& x_tq) = 0;
  virtual at::Tensor mlp(std::int64_t layer, const at::Tensor& x_th) = 0;
};

/// The stream between blocks: what stands, and what is still to be added.
struct residual_stream {
  at::Tensor residual_th;     // float32
  at::Tensor update_th = {};  // may be undefined
};

/// All layers of a decoder: the one place that says in which order a block's
/// operations run.
void run_layers(const model_config& config, const decoder_weights& weights,
                block_operations& operations, residual_stream& stream);

}  // namespace t2
