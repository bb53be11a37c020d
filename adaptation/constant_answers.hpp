#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adaptation/example.hpp"
#include "adaptation/paired_interval.hpp"
#include "adaptation/prompt_groups.hpp"
#include "adaptation/reward.hpp"

namespace t2 {

/// An example and what judges its answers; both outlive what is made of them.
struct judged_example {
  const example* source = nullptr;
  const reward* judge = nullptr;
};

/// What always saying the same earns on a set of examples: a model that has
/// collapsed into one answer is as good as that, and knows nothing. The
/// constants are the references themselves (of `choice` the labels too), at
/// most the 50 commonest; those that are right in the same places are one.
/// Rewards that run programs are not asked. A plain value.
class constant_answers {
 public:
  static constexpr std::size_t most = 50;
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  constant_answers() = default;
  static constant_answers of(std::span<const judged_example> examples,
                             const prompt_groups& prompts);

  bool empty() const { return texts_.empty(); }
  const std::vector<std::string>& texts() const { return texts_; }
  /// Of constant `c`, the mean reward of each prompt.
  const std::vector<double>& rewards(std::size_t c) const {
    return rewards_[c];
  }
  /// The constant that is right on an example (of several the one that is right
  /// most often): what a confusion table calls its class. None: no constant.
  std::size_t meant(std::size_t item) const { return meant_[item]; }

  /// The highest mean reward, the earlier of equal ones; none where empty.
  std::size_t best() const;
  /// The same for whoever earns `rewards` (of each prompt): of equal ones the
  /// one that is right where they are. Of balanced classes, whoever always says
  /// the second is no better than that, and not than the first.
  std::size_t best_beside(std::span<const double> rewards) const;
  double mean_reward(std::size_t c) const;
  /// Whether the best constant earns no less in the mean than `rewards`.
  bool earn_as_much(std::span<const double> rewards) const;

  /// Whether a constant is a rival: two of them are the class of two prompts or
  /// more each. Fewer cannot tell knowing from always saying the same.
  bool rival() const { return rival_; }
  /// Of each prompt, the reward of the constant that is best on the other half
  /// of the prompts (ties: their mean). Each class is dealt to both halves
  /// alike: without that, of four prompts of two classes the constant chosen
  /// without one would always be the other class.
  const std::vector<double>& cross_fitted() const { return cross_fitted_; }

 private:
  void classify(const prompt_groups& prompts,
                const std::vector<std::vector<double>>& of_items);
  void cross_fit();

  std::vector<std::string> texts_;
  std::vector<std::vector<double>> rewards_;  // [constant][prompt]
  std::vector<std::size_t> meant_;            // of each item
  std::vector<std::size_t> class_of_;         // of each prompt
  std::vector<double> cross_fitted_;          // of each prompt
  bool rival_ = false;
};

/// How much better than a constant answer something is.
struct over_constant {
  sample_mean gain;  // of reward over the cross-fitted constant, over prompts
  double reward = 0;
  double best_constant = 0;  // mean reward of the best constant on all prompts
  /// Whether the gain exceeds `standard_errors` of its own and the reward that
  /// of every constant on the same prompts, so that a constant never does.
  bool better(double standard_errors) const;
};

/// `rewards`: of each prompt. Nothing where no constant is a rival.
std::optional<over_constant> compare_with_constant(
    std::span<const double> rewards, const constant_answers& constants);

}  // namespace t2
