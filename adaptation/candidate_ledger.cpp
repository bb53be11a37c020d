#include "adaptation/candidate_ledger.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "adaptation/answer_report.hpp"
#include "config/terminal.hpp"

namespace t2 {
namespace {

constexpr std::size_t main_chain = 0;
// Of one shot: how improbable a gain must be under the base to be believed.
constexpr double one_shot_level = 0.05;

}  // namespace

result<candidate_ledger> candidate_ledger::make(
    mixture_space space, std::size_t shots, bool by_reward,
    double answer_tokens, const few_shot_options& options,
    constant_answers constants) {
  candidate_ledger out;
  out.options_ = options;
  out.space_ = space;
  out.shots_ = shots;
  out.answer_tokens_ = answer_tokens;
  out.by_reward_ = by_reward;
  out.constants_ = std::move(constants);
  if (shots > 1)
    out.folds_ = make_folds(
        shots,
        options.folds == 0
            ? shots
            : std::min(shots, static_cast<std::size_t>(options.folds)),
        options.seed);
  const auto population = static_cast<std::size_t>(options.population);
  out.chains_.emplace_back(space, shots_outside({}, shots), population);
  for (const auto& fold : out.folds_)
    out.chains_.emplace_back(space, shots_outside(fold, shots),
                             std::max<std::size_t>(2, population / 4));
  if (!out.tries_each())
    if (auto chosen = out.choose_experts(); !chosen) return chosen.error();
  return out;
}

// Whether each expert is scored alone before anything is drawn.
bool candidate_ledger::tries_each() const {
  return shots_ == 1 ||
         (options_.preselect > 0 &&
          space_.experts > static_cast<std::size_t>(options_.preselect));
}

bool candidate_ledger::is_first(std::size_t record) {
  const search_record& r = records_[record];
  return first_of_.emplace(std::pair{r.alpha, r.control}, record).second;
}

void candidate_ledger::forget(std::size_t record) {
  first_of_.erase({records_[record].alpha, records_[record].control});
}

// The first chain over the same experts.
std::size_t candidate_ledger::leader_of(std::size_t chain) const {
  std::size_t first = 0;
  while (chains_[first].experts() != chains_[chain].experts()) ++first;
  return first;
}

// Each chain searches the experts that are likeliest on its shots.
result<void> candidate_ledger::choose_experts() {
  std::vector<std::vector<double>> alone;
  if (!records_.empty())
    for (std::size_t k = 0; k < space_.experts; ++k)
      alone.push_back(records_[base + 1 + k].likelihood);
  std::vector<std::size_t> all(space_.experts);
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto most = static_cast<std::size_t>(options_.preselect);
  for (std::size_t c = 0; c < chains_.size(); ++c) {
    const auto searched = chains_[c].search(
        options_.optimiser,
        {.sigma = options_.sigma,
         .elite = options_.elite,
         .population = static_cast<std::size_t>(options_.population),
         .seed = options_.seed,
         .stream = c},
        alone.empty() || most == 0
            ? all
            : best_alone(alone, chains_[c].shots(), most));
    if (!searched) return searched.error();
  }
  return {};
}

void candidate_ledger::begin() {
  records_.push_back({});  // the base
  if (!tries_each()) return draw_population();
  for (std::size_t k = 0; k < space_.experts; ++k)
    records_.push_back({.alpha = space_.single(k)});
}

void candidate_ledger::draw_population() {
  // Before it is told of scores, a chain draws what others over the same
  // experts would.
  const auto apart = [&](std::size_t c) {
    return iteration_ > 0 && chains_[c].adaptive();
  };
  for (std::size_t c = 0; c < chains_.size(); ++c) {
    if (!apart(c) && leader_of(c) != c) continue;
    std::vector<std::size_t> open_to;
    for (std::size_t other = c; other < chains_.size(); ++other)
      if (other == c || (!apart(c) && leader_of(other) == c))
        open_to.push_back(other);
    for (candidate& alpha : chains_[c].draw())
      records_.push_back({.alpha = std::move(alpha), .chains = open_to});
  }
}

result<void> candidate_ledger::told() {
  for (search_record& r : records_)
    if (r.likelihood.empty())
      r.likelihood = records_[first_of_.at({r.alpha, r.control})].likelihood;
  if (untold_ == 0 && tries_each()) {
    // Told with the first population, which must not know of them.
    untold_ = base + 1;
    return choose_experts();
  }
  for (std::size_t c = 0; c < chains_.size(); ++c) {
    std::vector<candidate> points;
    std::vector<double> scores;
    for (std::size_t r = std::max(untold_, base + 1); r < records_.size();
         ++r) {
      if (!records_[r].open_to(c)) continue;
      points.push_back(records_[r].alpha);
      scores.push_back(mean_over(records_[r].likelihood, chains_[c].shots()));
    }
    chains_[c].tell(points, scores);
  }
  untold_ = records_.size();
  ++iteration_;
  return {};
}

bool candidate_ledger::wants_population() const {
  return shots_ > 1 && iteration_ < options_.iterations;
}

// At most: repeated candidates cost nothing.
std::int64_t candidate_ledger::population_candidates() const {
  std::size_t count = 0;
  for (std::size_t c = 0; c < chains_.size(); ++c)
    if (chains_[c].adaptive() || leader_of(c) == c)
      count += chains_[c].population();
  return static_cast<std::int64_t>(count);
}

std::int64_t candidate_ledger::first_candidates() const {
  if (!tries_each()) return options_.population + 1;
  std::size_t count = 1 + space_.experts;
  if (shots_ > 1)
    for (const search_chain& chain : chains_) count += chain.population();
  return static_cast<std::int64_t>(count);
}

std::vector<std::size_t> candidate_ledger::contenders_of(
    std::size_t chain) const {
  return contenders(records_, chain, chains_[chain].shots(),
                    static_cast<std::size_t>(options_.survivors));
}

std::vector<std::size_t> candidate_ledger::contending() const {
  std::set<std::size_t> meet{base};
  for (std::size_t c = 0; c < chains_.size(); ++c)
    for (const std::size_t r : contenders_of(c)) meet.insert(r);
  return {meet.begin(), meet.end()};
}

std::size_t candidate_ledger::winner_of(std::size_t chain) const {
  return winner(records_, contenders_of(chain), chains_[chain].shots(),
                by_reward_);
}

std::vector<std::size_t> candidate_ledger::winners() const {
  std::vector<std::size_t> out;
  for (std::size_t f = 0; f < folds_.size(); ++f)
    out.push_back(winner_of(f + 1));
  return out;
}

// The base is its own control, and that of what has not met one.
std::size_t candidate_ledger::control_of(std::size_t record) const {
  if (record == base) return base;
  const auto known = first_of_.find({records_[record].alpha, true});
  return known == first_of_.end() || records_[known->second].likelihood.empty()
             ? base
             : known->second;
}

std::vector<std::size_t> candidate_ledger::add_controls() {
  auto all = winners();
  all.push_back(winner_of(main_chain));
  std::vector<std::size_t> added;
  std::set<candidate> met;
  for (const std::size_t r : all)
    if (r != base && met.insert(records_[r].alpha).second) {
      added.push_back(records_.size());
      records_.push_back({.alpha = records_[r].alpha, .control = true});
    }
  return added;
}

std::pair<double, double> candidate_ledger::likelihoods() const {
  if (records_.empty() || records_[base].likelihood.empty()) return {0, 0};
  const auto& all = chains_[main_chain].shots();
  const double of_base = mean_over(records_[base].likelihood, all);
  double best = of_base;
  for (const std::size_t r : contenders(records_, main_chain, all, 1))
    best = std::max(best, mean_over(records_[r].likelihood, all));
  return {of_base, best};
}

// The folds' winners, each on the shots that it has not seen.
std::optional<over_constant> candidate_ledger::over_constant_answer(
    const std::vector<std::size_t>& winners) const {
  if (!by_reward_) return std::nullopt;
  std::vector<double> rewards(shots_);
  for (std::size_t f = 0; f < folds_.size(); ++f)
    for (const std::size_t shot : folds_[f])
      rewards[shot] = records_[winners[f]].rewards[shot];
  return compare_with_constant(rewards, constants_);
}

// Held out, and the one mixture that would be returned on all shots.
bool candidate_ledger::beats_constants(const search_verdict& found) const {
  if (!found.over_constant_answer) return true;
  const auto of_best =
      compare_with_constant(records_[found.best].rewards, constants_);
  return found.over_constant_answer->better(options_.standard_errors) &&
         of_best->better(0);
}

std::optional<std::string> candidate_ledger::constant_as_good(
    std::size_t record) const {
  const auto& rewards = records_[record].rewards;
  if (!by_reward_ || folds_.empty() || constants_.rival() || rewards.empty() ||
      !constants_.earn_as_much(rewards))
    return std::nullopt;
  return constants_.texts()[constants_.best_beside(rewards)];
}

search_verdict candidate_ledger::verdict() const {
  search_verdict out;
  out.best = winner_of(main_chain);
  const bool one_shot = folds_.empty();
  if (one_shot) {
    // The log of the likelihood ratio to the base, or to the control where that
    // is likelier, over all of the answer.
    const auto of = [&](std::size_t r) {
      return records_[r].likelihood.front();
    };
    out.evidence = (of(out.best) - std::max(of(base), of(control_of(out.best)))) *
                   answer_tokens_;
    out.evidence_needed =
        std::log(static_cast<double>(space_.experts) / one_shot_level);
  } else {
    const auto found = winners();
    std::vector<std::size_t> bases(found.size(), base), controls;
    for (const std::size_t r : found) controls.push_back(control_of(r));
    out.gain = measure_held_out(records_, folds_, found, bases, by_reward_);
    out.over_control =
        measure_held_out(records_, folds_, found, controls, by_reward_);
    out.over_constant_answer = over_constant_answer(found);
  }
  if (out.best == base) {
    out.reason = "no mixture is better than the base on the examples";
  } else if (one_shot) {
    out.believed = out.evidence > out.evidence_needed;
    out.reason = out.believed
                     ? "one example that the base would hardly write"
                     : "one example is too little evidence against the base";
  } else if (!believed(out.gain, options_.standard_errors)) {
    out.reason = "no gain over the base on held-out examples";
  } else if (!believed(out.over_control, options_.standard_errors)) {
    out.reason =
        "its experts, in another order, gain as much on held-out examples";
  } else if (!beats_constants(out)) {
    out.reason = "no better on held-out examples than always answering '" +
                 printable(shown_answer(constants_.texts()[
                     constants_.best_beside(records_[out.best].rewards)])) +
                 "'";
  } else {
    out.believed = true;
    out.reason = "a gain over the base on held-out examples";
  }
  return out;
}

}  // namespace t2
