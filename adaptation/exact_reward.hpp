#pragma once

#include "adaptation/reward.hpp"

namespace t2 {

/// The text without the ASCII white space around it.
std::string_view trimmed(std::string_view text);

/// The answer equals the reference, apart from white space around them.
class exact_reward : public reward {
 public:
  std::string_view name() const override { return "exact"; }
  result<double> of_text(std::string_view answer,
                         const example& e) const override;
  result<void> check(const example& e) const override;
};

}  // namespace t2
