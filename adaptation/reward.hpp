#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "adaptation/example.hpp"
#include "config/options.hpp"
#include "config/result.hpp"

namespace t2 {

/// What a reward looks at.
enum class reward_evidence : std::uint8_t {
  text,                 // a generated answer
  choice_likelihoods,   // the likelihood of each of the example's choices
  reference_likelihood  // the likelihood of the reference answer
};

/// A generated answer and the example that it answers; both outlive the call
/// they are given to.
struct judged_text {
  std::string_view answer;
  const example* source = nullptr;
};

/// How good an answer is. Any thread, several at once. A new one is one file
/// and one line in reward.cpp.
class reward {
 public:
  virtual ~reward() = default;
  virtual std::string_view name() const = 0;
  /// What a search should get for this example.
  virtual reward_evidence evidence(const example&) const {
    return reward_evidence::text;
  }
  /// Whether judging a text runs a program: it takes tens of milliseconds to
  /// seconds, and a thread that others wait for leaves it to another.
  virtual bool slow() const { return false; }
  /// Of a generated answer: +1 right, −1 wrong; NaN where the reward cannot be
  /// told from a text. An error is the judge's own failure (ec::unavailable:
  /// no sandbox here), never that of the answer.
  virtual result<double> of_text(std::string_view answer,
                                 const example& e) const = 0;
  /// The same of many, in order. Slow rewards run several programs at a time,
  /// and equal ones once; after `stop` what has not begun is ec::cancelled.
  virtual std::vector<result<double>> of_texts(
      std::span<const judged_text> texts, std::stop_token stop = {}) const;
  /// Of mean log-probabilities (nats per token): of each choice in order, or
  /// of the reference answer alone, as evidence() says.
  virtual double of_likelihoods(std::span<const double> means,
                                const example& e) const;
  /// Whether `e` can be judged: it has a number, its answer is a choice, ...
  virtual result<void> check(const example& e) const = 0;
};

/// By its name; ec::invalid_argument names all that there are. `options` are
/// the operator's: limits of programs, and the verifier of `command`.
result<std::shared_ptr<const reward>> make_reward(
    std::string_view name, const reward_options& options = {});
std::vector<std::string> reward_names();

}  // namespace t2
