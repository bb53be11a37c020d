#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <span>
#include <vector>

#include "config/result.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

/// One text to learn from. The loss is −Σ_i weight_i · log p(tokens[i] |
/// tokens[:i]) + kl_weight · Σ_i KL_i over i ≥ answer_begin; `weights` has one
/// entry for each such i (next-token: 1; policy gradient: the advantage). KL_i
/// is the divergence between the policy's and the base's distribution of token
/// i over the whole vocabulary (kl_divergence.hpp).
struct training_row {
  std::vector<token_id> tokens;
  std::size_t answer_begin = 1;
  std::vector<float> weights = {};
  float kl_weight = 0;
};

/// ec::invalid_argument: no answer, a weight missing, more than `longest`
/// tokens, an id outside the vocabulary.
result<void> check(const training_row& row, std::int64_t vocabulary,
                   std::int64_t longest);

/// Rows of one pass as tensors: B rows of L tokens, padded on the right (with
/// causal attention no row sees its padding), and A answer tokens in all.
struct packed_rows {
  at::Tensor ids_bl;    // int64
  at::Tensor place_a;   // int64: the position, in B × L, that predicts each
  at::Tensor target_a;  // int64: the answer token itself
  at::Tensor weight_a;  // float32
  std::vector<float> weights;       // the same, on the host
  std::vector<float> kl_weights;    // A
  std::vector<std::size_t> owners;  // A: index of the row it is of
};

/// Cuts rows into passes of at most `tokens_per_pass` padded tokens (or one
/// row), longest first: the same rows always give the same passes.
std::vector<std::vector<std::size_t>> make_passes(
    std::span<const training_row> rows, std::int64_t tokens_per_pass);

packed_rows pack(std::span<const training_row> rows,
                 std::span<const std::size_t> chosen, c10::Device device);

}  // namespace t2
