#pragma once

#include "adaptation/reward.hpp"

namespace t2 {

/// The example's `pattern` (text/pattern.hpp) is found in the answer; `^` and
/// `$` make it the whole of it. The reference answer must pass.
class regex_reward : public reward {
 public:
  std::string_view name() const override { return "regex"; }
  result<double> of_text(std::string_view answer,
                         const example& e) const override;
  result<void> check(const example& e) const override;
};

}  // namespace t2
