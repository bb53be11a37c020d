#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/dense_kernels.hpp"
#include "model/model_config.hpp"
#include "pretraining/dense_layout.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// Documents of one forward and backward pass behind each other, without
/// padding between them; each sees itself alone.
struct dense_pass {
  std::vector<token_id> tokens;
  std::vector<dense_kernels::document_span> spans;  // cover tokens in order
  // Row rows[i] is to predict targets[i]; its loss counts weights[i] times.
  std::vector<std::int64_t> rows;
  std::vector<std::int32_t> targets;
  std::vector<float> weights;

  /// Adds a document of two tokens or more; `counts[i]`: whether tokens[i] is
  /// to be predicted (never the first).
  void add(std::span<const token_id> document,
           std::span<const std::uint8_t> counts, float weight = 1);
};

/// A Llama whose full weights are trained, on the CPU: forward and backward
/// written out over packed documents, matrix products by LibTorch. The weights
/// are float32; with `compute` bfloat16 the products run on rounded copies and
/// the residual stream, norms, softmax, gradients and sums stay float32. The
/// same calls give the same bits with the same number of threads. One thread.
class dense_network {
 public:
  /// `config`: tied embeddings, no biases, no window, no rotary scaling,
  /// hidden and intermediate multiples of 16. `most_tokens` of a pass: buffers
  /// are made for it once, and shorter passes are padded to it.
  dense_network(const model_config& config, c10::ScalarType compute,
                std::int64_t most_tokens);
  ~dense_network();
  dense_network(dense_network&&) noexcept;

  const dense_layout& layout() const;
  /// Flat float32. Whoever writes to it calls weights_changed().
  at::Tensor& parameter();
  at::Tensor& gradient();
  /// Compute-type copy of parameter(); undefined where that is float32. adamw
  /// writes it along.
  at::Tensor& copy();
  void weights_changed();

  /// Σ weight · −log p; adds its gradient to gradient().
  double accumulate(const dense_pass& pass);
  double loss(const dense_pass& pass);
  /// float32 [T, V] of one document's tokens.
  at::Tensor logits(std::span<const token_id> tokens);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace t2
