#include "adaptation/constant_answers.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "adaptation/exact_reward.hpp"

namespace t2 {
namespace {

// Rewards are ±1 and means of few: equal up to rounding is equal.
constexpr double same_reward = 1e-9;

double mean(std::span<const double> values) {
  return values.empty() ? 0
                        : std::accumulate(values.begin(), values.end(), 0.0) /
                              static_cast<double>(values.size());
}

/// The references without white space around them, the commonest first and of
/// equal ones the earlier.
std::vector<std::string> candidates(std::span<const judged_example> examples) {
  std::map<std::string, std::size_t> place;
  std::vector<std::pair<std::string, std::size_t>> counted;
  std::size_t labels = 0;
  for (const auto& [e, judge] : examples) {
    const std::string text{trimmed(e->answer)};
    const auto [at, fresh] = place.try_emplace(text, counted.size());
    if (fresh) counted.emplace_back(text, 0);
    ++counted[at->second].second;
    if (judge != nullptr && judge->name() == "choice")
      labels = std::max(labels, std::min<std::size_t>(e->choices.size(), 26));
  }
  std::ranges::stable_sort(counted, std::ranges::greater{},
                           [](const auto& one) { return one.second; });
  std::vector<std::string> out;
  for (auto& [text, n] : counted)
    if (out.size() < constant_answers::most) out.push_back(std::move(text));
  // The first, second ... choice, whatever its words are.
  for (std::size_t i = 0; i < labels; ++i) {
    std::string label(1, static_cast<char>('A' + i));
    if (std::ranges::find(out, label) == out.end())
      out.push_back(std::move(label));
  }
  return out;
}

/// Of a constant on each example; nothing where one cannot be judged.
std::optional<std::vector<double>> rewards_of(
    const std::string& text, std::span<const judged_example> examples) {
  std::vector<double> out;
  for (const auto& [e, judge] : examples) {
    const auto value = judge->of_text(text, *e);
    if (!value || !std::isfinite(*value)) return std::nullopt;
    out.push_back(*value);
  }
  return out;
}

}  // namespace

constant_answers constant_answers::of(std::span<const judged_example> examples,
                                      const prompt_groups& prompts) {
  constant_answers out;
  out.meant_.assign(examples.size(), none);
  if (std::ranges::any_of(examples, [](const judged_example& one) {
        return one.judge == nullptr || one.judge->slow();
      }))
    return out;
  std::vector<std::vector<double>> of_items;
  for (std::string& text : candidates(examples)) {
    auto rewards = rewards_of(text, examples);
    if (!rewards || std::ranges::find(of_items, *rewards) != of_items.end())
      continue;
    out.rewards_.push_back(prompts.means(*rewards));
    of_items.push_back(*std::move(rewards));
    out.texts_.push_back(std::move(text));
  }
  if (out.empty()) return out;
  out.classify(prompts, of_items);
  out.cross_fit();
  return out;
}

void constant_answers::classify(
    const prompt_groups& prompts,
    const std::vector<std::vector<double>>& of_items) {
  std::vector<std::size_t> right;  // of each constant, how often
  for (const auto& rewards : of_items)
    right.push_back(static_cast<std::size_t>(
        std::ranges::count_if(rewards, [](double r) { return r > 0; })));
  for (std::size_t i = 0; i < meant_.size(); ++i)
    for (std::size_t c = 0; c < texts_.size(); ++c)
      if (of_items[c][i] > 0 &&
          (meant_[i] == none || right[c] > right[meant_[i]]))
        meant_[i] = c;
  std::vector<std::size_t> prompts_of(texts_.size());
  for (std::size_t g = 0; g < prompts.size(); ++g) {
    class_of_.push_back(meant_[prompts.members(g).front()]);
    if (class_of_.back() != none) ++prompts_of[class_of_.back()];
  }
  rival_ = std::ranges::count_if(prompts_of,
                                 [](std::size_t n) { return n >= 2; }) >= 2;
}

void constant_answers::cross_fit() {
  std::vector<std::size_t> order(class_of_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, {}, [&](std::size_t g) { return class_of_[g]; });
  std::array<std::vector<std::size_t>, 2> halves;
  for (std::size_t i = 0; i < order.size(); ++i)
    halves[i % 2].push_back(order[i]);
  cross_fitted_.assign(order.size(), 0);
  for (std::size_t h = 0; h < 2; ++h) {
    std::vector<double> elsewhere;  // of each constant
    for (const auto& rewards : rewards_) {
      double sum = 0;
      for (const std::size_t g : halves[1 - h]) sum += rewards[g];
      elsewhere.push_back(sum);
    }
    const double top = *std::ranges::max_element(elsewhere);
    std::vector<std::size_t> chosen;
    for (std::size_t c = 0; c < elsewhere.size(); ++c)
      if (elsewhere[c] >= top - same_reward) chosen.push_back(c);
    for (const std::size_t g : halves[h])
      for (const std::size_t c : chosen)
        cross_fitted_[g] += rewards_[c][g] / static_cast<double>(chosen.size());
  }
}

std::size_t constant_answers::best() const {
  std::size_t out = none;
  for (std::size_t c = 0; c < texts_.size(); ++c)
    if (out == none || mean_reward(c) > mean_reward(out) + same_reward) out = c;
  return out;
}

std::size_t constant_answers::best_beside(
    std::span<const double> rewards) const {
  const std::size_t top = best();
  std::size_t out = top;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < texts_.size(); ++c) {
    if (mean_reward(c) < mean_reward(top) - same_reward) continue;
    double apart = 0;
    for (std::size_t g = 0; g < rewards.size(); ++g)
      apart += std::abs(rewards[g] - rewards_[c][g]);
    if (apart < least - same_reward) {
      least = apart;
      out = c;
    }
  }
  return out;
}

double constant_answers::mean_reward(std::size_t c) const {
  return mean(rewards_[c]);
}

bool constant_answers::earn_as_much(std::span<const double> rewards) const {
  return !empty() && mean_reward(best()) >= mean(rewards) - same_reward;
}

bool over_constant::better(double standard_errors) const {
  return gain.mean > standard_errors * gain.standard_error + same_reward &&
         reward > best_constant + same_reward;
}

std::optional<over_constant> compare_with_constant(
    std::span<const double> rewards, const constant_answers& constants) {
  if (!constants.rival()) return std::nullopt;
  std::vector<double> gains;
  for (std::size_t g = 0; g < rewards.size(); ++g)
    gains.push_back(rewards[g] - constants.cross_fitted()[g]);
  return over_constant{.gain = mean_of(gains),
                       .reward = mean(rewards),
                       .best_constant =
                           constants.mean_reward(constants.best())};
}

}  // namespace t2
