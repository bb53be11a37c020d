#pragma once

#include "adaptation/reward.hpp"

namespace t2 {

/// The mean log-probability of the reference answer in nats per token: for
/// tasks that no verifier judges. Nothing is generated.
class logprob_reward : public reward {
 public:
  std::string_view name() const override { return "logprob"; }
  reward_evidence evidence(const example&) const override {
    return reward_evidence::reference_likelihood;
  }
  result<double> of_text(std::string_view answer,
                         const example& e) const override;
  double of_likelihoods(std::span<const double> means,
                        const example& e) const override;
  result<void> check(const example& e) const override;
};

}  // namespace t2
