#include "model/answer_loss.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace t2 {
namespace {

constexpr std::int64_t logits_bytes = std::int64_t{64} << 20;

/// float32 [A, V], before they are capped.
at::Tensor logits(const at::Tensor& hidden_ah, const at::Tensor& head_vh) {
  return at::linear(hidden_ah, head_vh).to(at::kFloat);
}

at::Tensor log_probabilities(const at::Tensor& logits_av, double cap) {
  return at::log_softmax(
      cap > 0 ? at::tanh(logits_av / cap) * cap : logits_av, 1);
}

}  // namespace

answer_loss cross_entropy(const at::Tensor& hidden_ah, const loss_head& head,
                          const packed_rows& rows, bool with_gradient) {
  return policy_loss(hidden_ah, {}, head, rows, kl_direction::policy_base,
                     with_gradient);
}

answer_loss policy_loss(const at::Tensor& hidden_ah, const at::Tensor& base_ah,
                        const loss_head& head, const packed_rows& rows,
                        kl_direction direction, bool with_gradient) {
  const at::NoGradGuard no_gradient;
  answer_loss out;
  out.log_probabilities.reserve(rows.weights.size());
  if (with_gradient) out.grad_hidden_ah = at::empty_like(hidden_ah);
  const auto at_once =
      std::max<std::int64_t>(1, logits_bytes / (4 * head.vh.size(0)));
  for (std::int64_t a = 0; a < hidden_ah.size(0); a += at_once) {
    const auto n = std::min(at_once, hidden_ah.size(0) - a);
    const auto target = rows.target_a.narrow(0, a, n).unsqueeze(1);
    const auto logits_av = logits(hidden_ah.narrow(0, a, n), head.vh);
    auto log_p = log_probabilities(logits_av, head.cap);
    const auto chosen =
        log_p.gather(1, target).squeeze(1).to(at::kCPU).to(at::kDouble);
    const auto* values = chosen.const_data_ptr<double>();
    for (std::int64_t i = 0; i < n; ++i) {
      const auto weight = rows.weights[static_cast<std::size_t>(a + i)];
      out.log_probabilities.push_back(values[i]);
      out.loss -= static_cast<double>(weight) * values[i];
    }
    at::Tensor of_divergence;  // ∂L/∂logits
    if (base_ah.defined()) {
      const auto kl = kl_divergence(
          log_p,
          log_probabilities(logits(base_ah.narrow(0, a, n), head.base_vh),
                            head.cap),
          direction, with_gradient);
      auto weights = std::vector<float>(
          rows.kl_weights.begin() + a, rows.kl_weights.begin() + a + n);
      const auto each = kl.value_a.to(at::kCPU).to(at::kDouble);
      for (std::int64_t i = 0; i < n; ++i) {
        const auto value = each.const_data_ptr<double>()[i];
        out.divergences.push_back(value);
        out.loss += double{weights[static_cast<std::size_t>(i)]} * value;
      }
      if (with_gradient)
        of_divergence = kl.grad_logits_av.mul(
            at::from_blob(weights.data(), {n, 1}, at::kFloat)
                .to(hidden_ah.device()));
    }
    if (!with_gradient) continue;
    auto d_logits = log_p.exp_();
    d_logits.scatter_add_(1, target, at::full_like(target, -1, at::kFloat));
    d_logits.mul_(rows.weight_a.narrow(0, a, n).unsqueeze(1));
    if (of_divergence.defined()) d_logits.add_(of_divergence);
    // The derivative of cap · tanh(x / cap) is 1 − tanh²(x / cap).
    if (head.cap > 0)
      d_logits.mul_(1 - at::tanh(logits_av / head.cap).square());
    if (head.backward) head.backward(hidden_ah.narrow(0, a, n), d_logits);
    out.grad_hidden_ah.narrow(0, a, n).copy_(
        at::mm(d_logits.to(head.vh.scalar_type()), head.vh));
  }
  return out;
}

}  // namespace t2
