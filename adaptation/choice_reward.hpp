#pragma once

#include <optional>

#include "adaptation/reward.hpp"

namespace t2 {

/// Which of several answers a text chooses, from 0: by its label (A, (B), "the
/// answer is C", or 1 .. 9 where the reference is a digit) or, where the
/// example lists its choices, by the choice's words. Nothing when it chooses
/// none, or more than one.
std::optional<std::size_t> chosen(std::string_view text, const example& e);

/// Multiple choice. Where the example lists its choices a search compares
/// their mean log-probabilities instead of generating.
class choice_reward : public reward {
 public:
  std::string_view name() const override { return "choice"; }
  reward_evidence evidence(const example& e) const override;
  result<double> of_text(std::string_view answer,
                         const example& e) const override;
  double of_likelihoods(std::span<const double> means,
                        const example& e) const override;
  result<void> check(const example& e) const override;
};

}  // namespace t2
