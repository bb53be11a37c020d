#pragma once

#include <optional>

#include "adaptation/reward.hpp"

namespace t2 {

/// The number that a text gives as its result: what follows the last `####`
/// (GSM8K), else what the last `\boxed{…}` holds, else the last number of the
/// text. `$` and `%` around it and commas between groups of three digits are
/// passed over; `\frac{a}{b}` and `a/b` are divided.
std::optional<double> final_number(std::string_view text);

/// The answer's final number equals the reference's, within a millionth of it
/// (of 1, for smaller ones).
class numeric_reward : public reward {
 public:
  std::string_view name() const override { return "numeric"; }
  result<double> of_text(std::string_view answer,
                         const example& e) const override;
  result<void> check(const example& e) const override;
};

}  // namespace t2
