#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <utility>
#include <vector>

#include "model/kl_divergence.hpp"
#include "model/training_batch.hpp"

namespace t2 {

/// The loss of a pass's answer tokens, and its gradient with respect to the
/// hidden states that predict them.
struct answer_loss {
  double loss = 0;                         // −Σ weight · log p + Σ kl_weight · KL
  std::vector<double> log_probabilities;   // A, nats
  std::vector<double> divergences;         // A, nats; empty without a base
  at::Tensor grad_hidden_ah;               // as the hidden states; may be unset
};

/// What makes logits of hidden states, [V, H] in their type.
struct loss_head {
  /// One for both.
  loss_head(const at::Tensor& weight_vh)  // NOLINT(google-explicit-constructor)
      : vh(weight_vh), base_vh(weight_vh) {}
  loss_head(at::Tensor weight_vh, at::Tensor of_base_vh)
      : vh(std::move(weight_vh)), base_vh(std::move(of_base_vh)) {}

  at::Tensor vh, base_vh;
  /// Logits x become cap · tanh(x / cap); 0: they do not.
  double cap = 0;
  /// Takes ∂L/∂logits (float32 [n, V]) and the hidden states of those rows;
  /// none: the head is not trained.
  std::function<void(const at::Tensor& hidden_nh, const at::Tensor& d_logits_nv)>
      backward = {};
};

/// The head is not differentiated through a graph: ∂L/∂hidden is
/// (softmax − one-hot) · head, for as many positions at a time as 64 MiB of
/// float32 logits hold.
answer_loss cross_entropy(const at::Tensor& hidden_ah, const loss_head& head,
                          const packed_rows& rows, bool with_gradient);

/// The same with the divergence to the base, whose hidden states at the same
/// positions are `base_ah`.
answer_loss policy_loss(const at::Tensor& hidden_ah, const at::Tensor& base_ah,
                        const loss_head& head, const packed_rows& rows,
                        kl_direction direction, bool with_gradient);

}  // namespace t2
