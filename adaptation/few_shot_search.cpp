#include "adaptation/few_shot_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "adaptation/cross_fit.hpp"
#include "adaptation/search_chain.hpp"

namespace t2 {
namespace {

constexpr double nowhere = -std::numeric_limits<double>::infinity();
constexpr std::size_t base_record = 0;
constexpr std::size_t main_chain = 0;
// Apart from the streams of optimisers and folds.
constexpr std::uint64_t control_stream = 0xc048'0000'0000'0000u;

double mean_log_probability(const row_score& score) {
  return score.sum() / static_cast<double>(score.log_probabilities.size());
}

// Of one shot: how improbable a gain must be under the base to be believed.
constexpr double one_shot_level = 0.05;

// Which record and shot a row or answer of the work at hand is about.
struct asked {
  std::size_t record = 0;
  std::size_t shot = 0;
};

}  // namespace

struct few_shot_search::state {
  std::shared_ptr<const expert_pool> pool;
  std::vector<search_shot> shots;
  std::shared_ptr<const reward> judge;
  few_shot_options options;
  std::function<steady_time()> now;
  mixture_space space;
  std::vector<std::vector<std::size_t>> folds;
  std::vector<search_chain> chains;  // the main one, then one a fold
  bool by_reward = false;            // the reward is not the likelihood

  enum class phase { screen, judging, controls, judging_controls, ended };
  phase at = phase::screen;
  std::vector<search_record> records;
  // The first record of an α, controls apart.
  std::map<std::pair<candidate, bool>, std::size_t> first_of;
  std::size_t batch_begin = 0;  // records of the running population
  std::size_t next_record = 0;  // the first that no work has asked about
  std::vector<std::size_t> judged;  // records that meet the reward
  std::size_t next_judged = 0;

  std::optional<search_work> work;
  std::vector<asked> subjects;  // of the work, row by row
  std::optional<steady_time> started;
  std::optional<result<few_shot_outcome>> outcome;
  std::int64_t iteration = 0;  // populations scored
  std::int64_t tokens = 0;
  std::int64_t scored_rows = 0, answers = 0;

  /// Whether each expert is scored alone before anything is drawn.
  bool tries_each() const {
    return shots.size() == 1 ||
           (options.preselect > 0 &&
            space.experts > static_cast<std::size_t>(options.preselect));
  }
  double elapsed() const {
    if (!started) return 0;
    return std::chrono::duration<double>(now() - *started).count();
  }

  std::int64_t row_tokens() const;
  std::int64_t population_tokens() const;
  std::int64_t judging_tokens() const;
  std::int64_t selections() const;
  std::size_t leader_of(std::size_t chain) const;
  result<void> choose_experts();
  void begin_screen();
  void draw_population();
  void end_population();
  bool another_population() const;
  std::size_t winner_of(std::size_t chain) const;
  std::vector<std::size_t> winners() const;
  std::size_t control_of(std::size_t record) const;
  void begin_controls();
  void judge_controls();
  double evidence_of(std::size_t record) const;
  double evidence_needed() const;
  void begin_judging();
  void make_work();
  void make_score_work();
  void make_judging_work();
  void ask_generation(std::size_t record, const delta_ref& delta,
                      generate_work& into);
  void ask_choices(std::size_t record, const delta_ref& delta,
                   score_work& into);
  result<delta_ref> delta_of(const search_record& record) const;
  void finish(bool truncated);
  few_shot_outcome conclude(bool truncated) const;
};

std::int64_t few_shot_search::state::row_tokens() const {
  std::int64_t sum = 0;
  for (const search_shot& shot : shots)
    sum += static_cast<std::int64_t>(shot.reference.tokens.size());
  return sum;
}

// At most: repeated candidates cost nothing.
std::int64_t few_shot_search::state::population_tokens() const {
  std::int64_t count = 0;
  for (std::size_t c = 0; c < chains.size(); ++c)
    if (chains[c].adaptive() || leader_of(c) == c)
      count += static_cast<std::int64_t>(chains[c].population());
  return count * row_tokens();
}

// At most: what the reward will cost at the end.
std::int64_t few_shot_search::state::judging_tokens() const {
  if (!by_reward) return selections() * row_tokens();
  std::int64_t sum = 0;
  for (const search_shot& shot : shots) {
    if (judge->evidence(shot.source) == reward_evidence::text) {
      sum += static_cast<std::int64_t>(shot.reference.answer_begin) +
             options.sampling.max_tokens;
    } else {
      for (const scoring_row& row : shot.choices)
        sum += static_cast<std::int64_t>(row.tokens.size());
    }
  }
  return (selections() * (options.survivors + 1) + 1) * sum +
         selections() * row_tokens();
}

// Sets of shots that a winner is chosen on.
std::int64_t few_shot_search::state::selections() const {
  return static_cast<std::int64_t>(folds.size()) + 1;
}

result<delta_ref> few_shot_search::state::delta_of(
    const search_record& record) const {
  if (record.alpha.empty()) return delta_ref{};
  auto delta = pool->compose(options.rule, record.alpha);
  if (!delta || !record.control || *delta == nullptr) return delta;
  return pool->control_of(**delta, options.seed ^ control_stream);
}

// The first chain over the same experts.
std::size_t few_shot_search::state::leader_of(std::size_t chain) const {
  std::size_t first = 0;
  while (chains[first].experts() != chains[chain].experts()) ++first;
  return first;
}

// Each chain searches the experts that are likeliest on its shots.
result<void> few_shot_search::state::choose_experts() {
  std::vector<std::vector<double>> alone;
  if (tries_each())
    for (std::size_t k = 0; k < space.experts; ++k)
      alone.push_back(records[base_record + 1 + k].likelihood);
  std::vector<std::size_t> all(space.experts);
  for (std::size_t k = 0; k < all.size(); ++k) all[k] = k;
  for (std::size_t c = 0; c < chains.size(); ++c) {
    const auto searched = chains[c].search(
        options.optimiser,
        {.sigma = options.sigma,
         .elite = options.elite,
         .population = static_cast<std::size_t>(options.population),
         .seed = options.seed,
         .stream = c},
        alone.empty() || options.preselect == 0
            ? all
            : best_alone(alone, chains[c].shots(),
                                   static_cast<std::size_t>(options.preselect)));
    if (!searched) return searched.error();
  }
  return {};
}

void few_shot_search::state::begin_screen() {
  records.push_back({});  // the base
  if (!tries_each()) return draw_population();
  for (std::size_t k = 0; k < space.experts; ++k)
    records.push_back({.alpha = space.single(k)});
}

void few_shot_search::state::draw_population() {
  // Before it is told of scores, a chain draws what others over the same
  // experts would.
  const auto apart = [&](std::size_t c) {
    return iteration > 0 && chains[c].adaptive();
  };
  for (std::size_t c = 0; c < chains.size(); ++c) {
    if (!apart(c) && leader_of(c) != c) continue;
    std::vector<std::size_t> open_to;
    for (std::size_t other = c; other < chains.size(); ++other)
      if (other == c || (!apart(c) && leader_of(other) == c))
        open_to.push_back(other);
    for (candidate& alpha : chains[c].draw())
      records.push_back({.alpha = std::move(alpha), .chains = open_to});
  }
}

// Repeated candidates get the scores of the first, the chains are told.
void few_shot_search::state::end_population() {
  for (std::size_t r = batch_begin; r < records.size(); ++r)
    if (records[r].likelihood.empty())
      records[r].likelihood =
          records[first_of.at({records[r].alpha, false})].likelihood;
  const bool first = iteration == 0;
  if (first && tries_each() && batch_begin == base_record) {
    if (auto chosen = choose_experts(); !chosen) {
      outcome = chosen.error();
      at = phase::ended;
    }
    return;  // told with the first population, which must not know of them
  }
  for (std::size_t c = 0; c < chains.size(); ++c) {
    std::vector<candidate> points;
    std::vector<double> scores;
    for (std::size_t r = first ? base_record + 1 : batch_begin;
         r < records.size(); ++r) {
      if (!records[r].open_to(c)) continue;
      points.push_back(records[r].alpha);
      scores.push_back(mean_over(records[r].likelihood, chains[c].shots()));
    }
    chains[c].tell(points, scores);
  }
  ++iteration;
}

bool few_shot_search::state::another_population() const {
  if (shots.size() == 1 || iteration >= options.iterations) return false;
  return iteration == 0 || options.tokens == 0 ||
         tokens + population_tokens() + judging_tokens() <= options.tokens;
}

void few_shot_search::state::begin_judging() {
  at = phase::judging;
  std::set<std::size_t> meet{base_record};
  const auto count = static_cast<std::size_t>(options.survivors);
  std::vector<std::size_t> all(shots.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  for (const std::size_t r : contenders(records, main_chain, all, count))
    meet.insert(r);
  for (std::size_t f = 0; f < folds.size(); ++f)
    for (const std::size_t r :
         contenders(records, f + 1, shots_outside(folds[f], shots.size()),
                    count))
      meet.insert(r);
  judged.assign(meet.begin(), meet.end());
  for (const std::size_t r : judged)
    records[r].rewards.assign(shots.size(), 0.0);
}

void few_shot_search::state::judge_controls() {
  at = phase::judging_controls;
  next_judged = 0;
  judged.clear();
  for (std::size_t r = 0; r < records.size(); ++r)
    if (records[r].control && !records[r].likelihood.empty()) {
      judged.push_back(r);
      records[r].rewards.assign(shots.size(), 0.0);
    }
}

// Of the chain's contenders, on its shots.
std::size_t few_shot_search::state::winner_of(std::size_t chain) const {
  const auto& on = chains[chain].shots();
  return winner(records,
                contenders(records, chain, on,
                           static_cast<std::size_t>(options.survivors)),
                on, by_reward);
}

// Of the folds.
std::vector<std::size_t> few_shot_search::state::winners() const {
  std::vector<std::size_t> out;
  for (std::size_t f = 0; f < folds.size(); ++f)
    out.push_back(winner_of(f + 1));
  return out;
}

// The base is its own control.
std::size_t few_shot_search::state::control_of(std::size_t record) const {
  if (record == base_record) return record;
  const auto known = first_of.find({records[record].alpha, true});
  return known == first_of.end() || records[known->second].likelihood.empty()
             ? base_record
             : known->second;
}

// All winners meet their controls on the shots.
void few_shot_search::state::begin_controls() {
  at = phase::controls;
  auto all = winners();
  all.push_back(winner_of(main_chain));
  std::set<candidate> met;
  for (const std::size_t r : all)
    if (r != base_record && met.insert(records[r].alpha).second)
      records.push_back({.alpha = records[r].alpha, .control = true});
  batch_begin = records.size();
}

void few_shot_search::state::make_score_work() {
  score_work rows;
  const std::int64_t per_delta = pool->layout().total() * 4;
  std::int64_t bytes = 0;
  for (; next_record < records.size(); ++next_record) {
    search_record& record = records[next_record];
    if (!first_of.emplace(std::pair{record.alpha, record.control}, next_record)
             .second)
      continue;
    auto delta = delta_of(record);
    if (!delta) {  // paper and nuclear: no such mixture
      record.likelihood.assign(shots.size(), nowhere);
      continue;
    }
    if (*delta == nullptr && next_record != base_record) {
      record.likelihood = records[base_record].likelihood;
      if (!record.likelihood.empty()) continue;
    }
    if (!rows.rows.empty() && bytes + per_delta > options.delta_bytes) {
      first_of.erase({record.alpha, record.control});
      break;
    }
    bytes += per_delta;
    for (std::size_t i = 0; i < shots.size(); ++i) {
      scoring_row row = shots[i].reference;
      row.delta = *delta;
      tokens += static_cast<std::int64_t>(row.tokens.size());
      rows.rows.push_back(std::move(row));
      subjects.push_back({next_record, i});
    }
    record.likelihood.clear();
  }
  if (!rows.rows.empty()) work = std::move(rows);
}

void few_shot_search::state::ask_generation(std::size_t record,
                                            const delta_ref& delta,
                                            generate_work& into) {
  for (std::size_t i = 0; i < shots.size(); ++i) {
    if (judge->evidence(shots[i].source) != reward_evidence::text) continue;
    const scoring_row& row = shots[i].reference;
    generation_request request;
    request.prompt.assign(
        row.tokens.begin(),
        row.tokens.begin() + static_cast<std::ptrdiff_t>(row.answer_begin));
    request.sampling = options.sampling;
    request.sampling.seed = options.seed;
    request.delta = delta;
    request.urgency = priority::background;
    request.stream = i;  // all candidates meet the same random numbers
    into.requests.push_back(std::move(request));
    subjects.push_back({record, i});
  }
}

// Choices are judged when the rows of all of them are told.
void few_shot_search::state::ask_choices(std::size_t record,
                                         const delta_ref& delta,
                                         score_work& into) {
  for (std::size_t i = 0; i < shots.size(); ++i) {
    if (judge->evidence(shots[i].source) == reward_evidence::text) continue;
    for (scoring_row row : shots[i].choices) {
      row.delta = delta;
      tokens += static_cast<std::int64_t>(row.tokens.size());
      into.rows.push_back(std::move(row));
      subjects.push_back({record, i});
    }
  }
}

// For each record that meets the reward one work of generations and one of
// choices (most tasks have one kind), as many records as the budget of bytes
// holds.
void few_shot_search::state::make_judging_work() {
  const std::int64_t per_delta = pool->layout().total() * 4;
  const auto at_once = std::max<std::int64_t>(
      1, options.delta_bytes / std::max<std::int64_t>(1, per_delta));
  // Even steps generate, odd steps score choices, for the same records.
  while (next_judged < 2 * judged.size()) {
    const std::size_t begin = next_judged / 2;
    const bool generate = next_judged % 2 == 0;
    const std::size_t end =
        std::min(judged.size(), begin + static_cast<std::size_t>(at_once));
    generate_work texts;
    score_work rows;
    for (std::size_t j = begin; j < end; ++j) {
      const auto delta = delta_of(records[judged[j]]);
      if (generate)
        ask_generation(judged[j], *delta, texts);
      else
        ask_choices(judged[j], *delta, rows);
    }
    next_judged = generate ? next_judged + 1 : 2 * end;
    if (!texts.requests.empty()) {
      work = std::move(texts);
      return;
    }
    if (!rows.rows.empty()) {
      work = std::move(rows);
      return;
    }
  }
}

void few_shot_search::state::make_work() {
  if (!started) started = now();
  while (at != phase::ended && !work) {
    if (options.seconds > 0 && elapsed() >= options.seconds) {
      finish(true);
    } else if (at == phase::screen) {
      if (next_record < records.size()) {
        make_score_work();
        continue;
      }
      if (batch_begin < records.size()) {
        end_population();
        batch_begin = records.size();
        if (at == phase::ended) break;
      }
      if (records.empty())
        begin_screen();
      else if (another_population())
        draw_population();
      else if (by_reward)
        begin_judging();
      else
        begin_controls();
    } else if (at == phase::controls) {
      if (next_record < records.size())
        make_score_work();
      else if (by_reward)
        judge_controls();
      else
        finish(false);
    } else {
      make_judging_work();
      if (work) continue;
      if (at == phase::judging)
        begin_controls();
      else
        finish(false);
    }
  }
  if (at == phase::ended) work = search_done{};
}

void few_shot_search::state::finish(bool truncated) {
  outcome = conclude(truncated);
  at = phase::ended;
  subjects.clear();
  work.reset();
}

// The log of the likelihood ratio to the base (or the control, where that is
// likelier) over all of the one answer.
double few_shot_search::state::evidence_of(std::size_t record) const {
  const scoring_row& row = shots.front().reference;
  return (records[record].likelihood.front() -
          std::max(records[base_record].likelihood.front(),
                   records[control_of(record)].likelihood.front())) *
         static_cast<double>(row.tokens.size() - row.answer_begin);
}

double few_shot_search::state::evidence_needed() const {
  return std::log(static_cast<double>(space.experts) / one_shot_level);
}

few_shot_outcome few_shot_search::state::conclude(bool truncated) const {
  using nlohmann::json;
  few_shot_outcome out;
  out.truncated = truncated;
  out.found.rule = options.rule;
  json cost{{"tokens", tokens},
            {"seconds", elapsed()},
            {"candidates", records.empty() ? 0 : records.size() - 1},
            {"rows", scored_rows},
            {"answers", answers},
            {"iterations", iteration}};
  out.cost = cost.dump();
  out.scores = "{}";
  const bool unknown_base =
      records.empty() || records[base_record].likelihood.empty();
  const bool unknown_reward =
      by_reward && (truncated || records[base_record].rewards.empty());
  if (unknown_base || unknown_reward) {
    out.reason = "the seconds were over before the candidates were judged";
    return out;
  }

  std::vector<std::size_t> all(shots.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const std::size_t best = winner_of(main_chain);
  const bool one_shot = folds.empty();
  held_out_gain gain, over_control;
  if (!one_shot) {
    const auto found = winners();
    std::vector<std::size_t> bases(found.size(), base_record), controls;
    for (const std::size_t r : found) controls.push_back(control_of(r));
    gain = measure_held_out(records, folds, found, bases, by_reward);
    over_control = measure_held_out(records, folds, found, controls, by_reward);
  }

  const auto scores_of = [&](std::size_t r) {
    json scores{{"log_likelihood", mean_over(records[r].likelihood, all)}};
    if (by_reward) scores["reward"] = mean_over(records[r].rewards, all);
    return scores;
  };
  json scores{{"base", scores_of(base_record)},
              {"best", scores_of(best)},
              {"reward", std::string{judge->name()}},
              {"shots", shots.size()}};
  if (one_shot)
    scores["evidence"] = {{"nats", evidence_of(best)},
                          {"needed", evidence_needed()}};
  else
    scores["held_out"] = {{"folds", folds.size()},
                          {"gain", gain.mean},
                          {"standard_error", gain.standard_error},
                          {"over_control", over_control.mean},
                          {"over_control_standard_error",
                           over_control.standard_error}};
  if (by_reward && !one_shot) {
    scores["held_out"]["reward"] = gain.reward;
    scores["held_out"]["base_reward"] = gain.base_reward;
  }
  out.scores = scores.dump();
  if (best == base_record) {
    out.reason = "no mixture is better than the base on the examples";
    return out;
  }
  if (one_shot && evidence_of(best) <= evidence_needed()) {
    out.reason = "one example is too little evidence against the base";
    return out;
  }
  if (!one_shot && !believed(gain, options.standard_errors)) {
    out.reason = "no gain over the base on held-out examples";
    return out;
  }
  if (!one_shot && !believed(over_control, options.standard_errors)) {
    out.reason =
        "its experts, in another order, gain as much on held-out examples";
    return out;
  }
  out.found = pool->describe(options.rule, records[best].alpha);
  out.delta = *delta_of(records[best]);
  out.accepted = out.delta != nullptr;
  out.reason = !out.accepted
                   ? "no mixture is better than the base on the examples"
               : one_shot ? "one example that the base would hardly write"
                          : "a gain over the base on held-out examples";
  return out;
}

few_shot_search::few_shot_search() : state_(std::make_unique<state>()) {}
few_shot_search::~few_shot_search() = default;

result<std::unique_ptr<few_shot_search>> few_shot_search::make(
    std::shared_ptr<const expert_pool> pool, std::vector<search_shot> shots,
    std::shared_ptr<const reward> judge, few_shot_options options,
    std::function<steady_time()> now) {
  if (auto fine = options.validate(); !fine) return fine.error();
  if (shots.empty())
    return error{ec::invalid_argument,
                 "examples: expected one or more, found none"};
  auto search = std::unique_ptr<few_shot_search>{new few_shot_search};
  state& s = *search->state_;
  s.pool = std::move(pool);
  s.shots = std::move(shots);
  s.judge = std::move(judge);
  s.options = options;
  s.now = std::move(now);
  for (const search_shot& shot : s.shots)
    s.by_reward = s.by_reward || s.judge->evidence(shot.source) !=
                                     reward_evidence::reference_likelihood;

  const std::size_t n = s.shots.size();
  std::size_t folds =
      options.folds == 0 ? n
                         : std::min(n, static_cast<std::size_t>(options.folds));
  if (n == 1) folds = 0;
  if (folds > 0) s.folds = make_folds(n, folds, options.seed);
  s.space = {.experts = s.pool->experts().size(),
             .per_expert =
                 options.per_projection ? s.pool->layout().size() : 1};
  const auto population = static_cast<std::size_t>(options.population);
  for (std::size_t c = 0; c <= folds; ++c) {
    const bool main = c == main_chain;
    s.chains.emplace_back(
        s.space,
        shots_outside(main ? std::span<const std::size_t>{}
                           : std::span{s.folds[c - 1]},
                      n),
        main ? population : std::max<std::size_t>(2, population / 4));
  }
  std::int64_t candidates = options.population + 1;
  if (s.tries_each()) {
    candidates = 1 + static_cast<std::int64_t>(s.space.experts);
    if (n > 1)
      for (const search_chain& chain : s.chains)
        candidates += static_cast<std::int64_t>(chain.population());
  } else if (auto chosen = s.choose_experts(); !chosen) {
    return chosen.error();
  }
  const std::int64_t first = candidates * s.row_tokens() + s.judging_tokens();
  if (options.tokens != 0 && first > options.tokens)
    return error{ec::exhausted,
                 "search.tokens: expected at least " + std::to_string(first) +
                     " for one population of these examples, found " +
                     std::to_string(options.tokens)};
  return search;
}

const search_work& few_shot_search::next() {
  if (!state_->work) state_->make_work();
  return *state_->work;
}

result<void> few_shot_search::tell(std::span<const row_score> scores) {
  state& s = *state_;
  const auto* work = s.work ? std::get_if<score_work>(&*s.work) : nullptr;
  if (work == nullptr || scores.size() != s.subjects.size())
    return error{ec::invalid_argument, "search: these scores were not asked"};
  for (const row_score& score : scores)
    if (score.log_probabilities.empty())
      return error{ec::invalid_argument, "search: a row came without a score"};
  s.scored_rows += static_cast<std::int64_t>(scores.size());
  if (s.at == state::phase::screen || s.at == state::phase::controls) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      auto& likelihood = s.records[s.subjects[i].record].likelihood;
      likelihood.resize(s.shots.size());
      const double mean = mean_log_probability(scores[i]);
      likelihood[s.subjects[i].shot] = std::isfinite(mean) ? mean : nowhere;
    }
  } else {
    for (std::size_t i = 0; i < scores.size();) {
      const asked subject = s.subjects[i];
      const search_shot& shot = s.shots[subject.shot];
      std::vector<double> means;
      for (std::size_t c = 0; c < shot.choices.size(); ++c)
        means.push_back(mean_log_probability(scores[i++]));
      s.records[subject.record].rewards[subject.shot] =
          s.judge->of_likelihoods(means, shot.source);
    }
  }
  s.subjects.clear();
  s.work.reset();
  return {};
}

result<std::vector<judged_text>> few_shot_search::to_judge(
    std::span<const search_answer> answers) const {
  const state& s = *state_;
  const auto* work = s.work ? std::get_if<generate_work>(&*s.work) : nullptr;
  if (work == nullptr || answers.size() != s.subjects.size())
    return error{ec::invalid_argument, "search: these answers were not asked"};
  std::vector<judged_text> texts;
  for (std::size_t i = 0; i < answers.size(); ++i)
    texts.push_back({answers[i].text, &s.shots[s.subjects[i].shot].source});
  return texts;
}

result<void> few_shot_search::tell(std::span<const search_answer> answers) {
  const auto texts = to_judge(answers);
  if (!texts) return texts.error();
  return tell(answers, judge().of_texts(*texts));
}

result<void> few_shot_search::tell(std::span<const search_answer> answers,
                                   std::span<const result<double>> rewards) {
  state& s = *state_;
  const auto* work = s.work ? std::get_if<generate_work>(&*s.work) : nullptr;
  if (work == nullptr || answers.size() != s.subjects.size() ||
      rewards.size() != answers.size())
    return error{ec::invalid_argument, "search: these answers were not asked"};
  for (const auto& value : rewards)
    if (!value) return value.error();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const asked subject = s.subjects[i];
    s.tokens += static_cast<std::int64_t>(work->requests[i].prompt.size()) +
                answers[i].tokens;
    s.records[subject.record].rewards[subject.shot] = *rewards[i];
  }
  s.answers += static_cast<std::int64_t>(answers.size());
  s.subjects.clear();
  s.work.reset();
  return {};
}

const reward& few_shot_search::judge() const { return *state_->judge; }

void few_shot_search::expire() {
  if (state_->at != state::phase::ended) state_->finish(true);
}

void few_shot_search::cancel() {
  if (state_->at == state::phase::ended) return;
  state_->outcome = error{ec::cancelled, "search: cancelled"};
  state_->at = state::phase::ended;
  state_->subjects.clear();
  state_->work.reset();
}

few_shot_progress few_shot_search::progress() const {
  const state& s = *state_;
  few_shot_progress out{.iteration = s.iteration,
                        .iterations = s.options.iterations,
                        .best_log_likelihood = nowhere,
                        .base_log_likelihood = 0,
                        .tokens = s.tokens,
                        .seconds = s.elapsed()};
  if (s.records.empty() || s.records[base_record].likelihood.empty()) {
    out.best_log_likelihood = 0;
    return out;
  }
  const auto& all = s.chains[main_chain].shots();
  out.base_log_likelihood =
      mean_over(s.records[base_record].likelihood, all);
  out.best_log_likelihood = out.base_log_likelihood;
  for (const std::size_t r : contenders(s.records, main_chain, all, 1))
    out.best_log_likelihood = std::max(
        out.best_log_likelihood, mean_over(s.records[r].likelihood, all));
  return out;
}

result<few_shot_outcome> few_shot_search::outcome() const {
  if (!state_->outcome)
    return error{ec::invalid_argument, "search: it has not ended"};
  return *state_->outcome;
}

}  // namespace t2
