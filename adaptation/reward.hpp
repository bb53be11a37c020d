#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adaptation/example.hpp"
#include "config/result.hpp"

namespace t2 {

/// What a reward looks at.
enum class reward_evidence : std::uint8_t {
  text,                 // a generated answer
  choice_likelihoods,   // the likelihood of each of the example's choices
  reference_likelihood  // the likelihood of the reference answer
};

/// How good an answer is. Stateless; any thread. A new one is one file and one
/// line in reward.cpp.
class reward {
 public:
  virtual ~reward() = default;
  virtual std::string_view name() const = 0;
  /// What a search should get for this example.
  virtual reward_evidence evidence(const example&) const {
    return reward_evidence::text;
  }
  /// Of a generated answer: +1 right, −1 wrong; NaN where the reward cannot be
  /// told from a text.
  virtual double of_text(std::string_view answer, const example& e) const = 0;
  /// Of mean log-probabilities (nats per token): of each choice in order, or
  /// of the reference answer alone, as evidence() says.
  virtual double of_likelihoods(std::span<const double> means,
                                const example& e) const;
  /// Whether `e` can be judged: it has a number, its answer is a choice, ...
  virtual result<void> check(const example& e) const = 0;
};

/// `exact`, `numeric`, `choice` or `logprob`; ec::invalid_argument names all.
result<std::shared_ptr<const reward>> make_reward(std::string_view name);
std::vector<std::string> reward_names();

}  // namespace t2
