#include "model/kl_divergence.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <string>

namespace t2 {

std::string_view to_string(kl_direction direction) {
  return direction == kl_direction::policy_base ? "policy-base"
                                                : "base-policy";
}

result<kl_direction> parse_kl_direction(std::string_view text) {
  if (text == "policy-base") return kl_direction::policy_base;
  if (text == "base-policy") return kl_direction::base_policy;
  return error{ec::invalid_argument,
               "kl_direction: expected policy-base or base-policy, found '" +
                   std::string{text} + "'"};
}

kl_terms kl_divergence(const at::Tensor& log_policy_av,
                       const at::Tensor& log_base_av, kl_direction direction,
                       bool with_gradient) {
  const at::NoGradGuard no_gradient;
  const bool forward = direction == kl_direction::policy_base;
  kl_terms out;
  auto ratio_av = at::sub(log_policy_av, log_base_av);  // log π − log π₀
  auto policy_av = at::exp(log_policy_av);
  if (forward) {
    out.value_a = at::sum(policy_av * ratio_av, 1);
    if (with_gradient)
      out.grad_logits_av =
          ratio_av.sub_(out.value_a.unsqueeze(1)).mul_(policy_av);
  } else {
    const auto base_av = at::exp(log_base_av);
    out.value_a = at::sum(ratio_av.mul_(base_av), 1).neg_();
    if (with_gradient) out.grad_logits_av = policy_av.sub_(base_av);
  }
  return out;
}

}  // namespace t2
