#include "adaptation/few_shot_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <tuple>

#include "adaptation/answer_report.hpp"
#include "adaptation/candidate_ledger.hpp"
#include "adaptation/prompt_groups.hpp"
#include "config/terminal.hpp"

namespace t2 {
namespace {

constexpr double nowhere = -std::numeric_limits<double>::infinity();
constexpr std::size_t base_record = candidate_ledger::base;
// Apart from the streams of optimisers and folds.
constexpr std::uint64_t control_stream = 0xc048'0000'0000'0000u;
constexpr std::size_t most_answers = 5;  // that the scores tell

double mean_log_probability(const row_score& score) {
  return score.sum() / static_cast<double>(score.log_probabilities.size());
}

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
  prompt_groups prompts;         // of the shots: the ledger's shots
  std::vector<double> weights;   // of a shot within its prompt
  std::optional<candidate_ledger> ledger;
  bool by_reward = false;  // the reward is not the likelihood
  // What records that met the reward said to each shot, and earned.
  std::map<std::size_t, std::vector<judged_answer>> said;

  enum class phase { screen, judging, controls, judging_controls, ended };
  phase at = phase::screen;
  std::size_t next_record = 0;  // the first that no work has asked about
  bool everything_told = false;  // the ledger knows of all scores
  std::vector<std::size_t> judged;  // records that meet the reward
  std::size_t next_judged = 0;
  std::vector<std::size_t> controls;  // records

  std::optional<search_work> work;
  std::vector<asked> subjects;  // of the work, row by row
  std::optional<steady_time> started;
  std::optional<result<few_shot_outcome>> outcome;
  std::int64_t tokens = 0;
  std::int64_t scored_rows = 0, answers = 0;

  double elapsed() const {
    if (!started) return 0;
    return std::chrono::duration<double>(now() - *started).count();
  }

  std::int64_t row_tokens() const;
  std::int64_t judging_tokens() const;
  bool affords_population() const;
  void screen();
  void begin_judging(phase next, std::vector<std::size_t> whom);
  void begin_controls();
  void make_work();
  void make_score_work();
  void make_judging_work();
  void ask_generation(std::size_t record, const delta_ref& delta,
                      generate_work& into);
  void ask_choices(std::size_t record, const delta_ref& delta,
                   score_work& into);
  result<delta_ref> delta_of(const search_record& record) const;
  void weigh_shots();
  constant_answers constants() const;
  void keep_answer(std::size_t record, std::size_t shot, judged_answer answer);
  void finish(bool truncated);
  few_shot_outcome conclude(bool truncated) const;
  nlohmann::json scores_of(std::size_t record) const;
  std::size_t right_of(std::size_t record) const;
  bool nothing_is_right(std::size_t best) const;
};

std::int64_t few_shot_search::state::row_tokens() const {
  std::int64_t sum = 0;
  for (const search_shot& shot : shots)
    sum += static_cast<std::int64_t>(shot.reference.tokens.size());
  return sum;
}

// At most: what the reward will cost at the end.
std::int64_t few_shot_search::state::judging_tokens() const {
  const auto selections = static_cast<std::int64_t>(ledger->selections());
  if (!by_reward) return selections * row_tokens();
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
  return (selections * (options.survivors + 1) + 1) * sum +
         selections * row_tokens();
}

bool few_shot_search::state::affords_population() const {
  return options.tokens == 0 || ledger->iteration() == 0 ||
         tokens + ledger->population_candidates() * row_tokens() +
                 judging_tokens() <=
             options.tokens;
}

result<delta_ref> few_shot_search::state::delta_of(
    const search_record& record) const {
  if (record.alpha.empty()) return delta_ref{};
  auto delta = pool->compose(options.rule, record.alpha);
  if (!delta || !record.control || *delta == nullptr) return delta;
  return pool->control_of(**delta, options.seed ^ control_stream);
}

void few_shot_search::state::begin_judging(phase next,
                                           std::vector<std::size_t> whom) {
  at = next;
  next_judged = 0;
  judged = std::move(whom);
  for (const std::size_t r : judged) {
    ledger->records()[r].rewards.assign(prompts.size(), 0.0);
    said[r].resize(shots.size());
  }
}

// Copies of a prompt count as one. Of the only prompt the answers count by
// their tokens: its evidence is the likelihood of whole answers.
void few_shot_search::state::weigh_shots() {
  std::vector<example> sources;
  for (const search_shot& shot : shots) sources.push_back(shot.source);
  prompts = prompt_groups::of(sources);
  for (std::size_t i = 0; i < shots.size(); ++i) {
    const scoring_row& row = shots[i].reference;
    weights.push_back(prompts.size() > 1
                          ? prompts.share(i)
                          : static_cast<double>(row.tokens.size() -
                                                row.answer_begin));
  }
  if (prompts.size() > 1) return;
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= all;
}

constant_answers few_shot_search::state::constants() const {
  if (!by_reward) return {};
  std::vector<judged_example> judged_by;
  for (const search_shot& shot : shots)
    judged_by.push_back({&shot.source, judge.get()});
  return constant_answers::of(judged_by, prompts);
}

void few_shot_search::state::keep_answer(std::size_t record, std::size_t shot,
                                         judged_answer answer) {
  ledger->records()[record].rewards[prompts.group_of(shot)] +=
      answer.reward * prompts.share(shot);
  said[record][shot] = std::move(answer);
}

// All winners meet their controls on the shots.
void few_shot_search::state::begin_controls() {
  at = phase::controls;
  controls = ledger->add_controls();
}

void few_shot_search::state::make_score_work() {
  score_work rows;
  const std::int64_t per_delta = pool->layout().total() * 4;
  std::int64_t bytes = 0;
  auto& records = ledger->records();
  for (; next_record < records.size(); ++next_record) {
    search_record& record = records[next_record];
    if (!ledger->is_first(next_record)) continue;
    auto delta = delta_of(record);
    if (!delta) {  // paper and nuclear: no such mixture
      record.likelihood.assign(prompts.size(), nowhere);
      continue;
    }
    if (*delta == nullptr && next_record != base_record) {
      record.likelihood = records[base_record].likelihood;
      if (!record.likelihood.empty()) continue;
    }
    if (!rows.rows.empty() && bytes + per_delta > options.delta_bytes) {
      ledger->forget(next_record);
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
      const auto delta = delta_of(ledger->records()[judged[j]]);
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

// All that was drawn is scored: what next?
void few_shot_search::state::screen() {
  if (ledger->records().empty()) return ledger->begin();
  if (!everything_told) {
    everything_told = true;
    if (auto told = ledger->told(); !told) {
      outcome = told.error();
      at = phase::ended;
      return;
    }
  }
  if (ledger->wants_population() && affords_population()) {
    everything_told = false;
    ledger->draw_population();
  } else if (by_reward) {
    begin_judging(phase::judging, ledger->contending());
  } else {
    begin_controls();
  }
}

void few_shot_search::state::make_work() {
  if (!started) started = now();
  while (at != phase::ended && !work) {
    if (options.seconds > 0 && elapsed() >= options.seconds) {
      finish(true);
    } else if (at == phase::screen || at == phase::controls) {
      if (next_record < ledger->records().size())
        make_score_work();
      else if (at == phase::screen)
        screen();
      else if (by_reward)
        begin_judging(phase::judging_controls, controls);
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

few_shot_outcome few_shot_search::state::conclude(bool truncated) const {
  using nlohmann::json;
  few_shot_outcome out;
  out.truncated = truncated;
  out.found.rule = options.rule;
  const auto& records = ledger->records();
  json cost{{"tokens", tokens},
            {"seconds", elapsed()},
            {"candidates", records.empty() ? 0 : records.size() - 1},
            {"rows", scored_rows},
            {"answers", answers},
            {"iterations", ledger->iteration()}};
  out.cost = cost.dump();
  out.scores = "{}";
  const bool unknown_base =
      records.empty() || records[base_record].likelihood.empty();
  const bool unknown_reward =
      by_reward && (truncated || records[base_record].rewards.empty());
  if (unknown_base || unknown_reward) {
    out.reason = "the seconds were over before the candidates were judged";
    out.scores = json{{"reason", out.reason}}.dump();
    return out;
  }

  const search_verdict found = ledger->verdict();
  json scores{{"base", scores_of(base_record)},
              {"best", scores_of(found.best)},
              {"reward", std::string{judge->name()}},
              {"shots", shots.size()},
              {"prompts", prompts.size()}};
  if (ledger->folds() == 0) {
    scores["evidence"] = {{"nats", found.evidence},
                          {"needed", found.evidence_needed}};
  } else {
    scores["held_out"] = {{"folds", ledger->folds()},
                          {"gain", found.gain.mean},
                          {"standard_error", found.gain.standard_error},
                          {"over_control", found.over_control.mean},
                          {"over_control_standard_error",
                           found.over_control.standard_error}};
    if (by_reward) {
      scores["held_out"]["reward"] = found.gain.reward;
      scores["held_out"]["base_reward"] = found.gain.base_reward;
    }
    if (const auto& over = found.over_constant_answer)
      scores["held_out"]["over_constant"] = {
          {"gain", over->gain.mean},
          {"standard_error", over->gain.standard_error},
          {"best_reward", over->best_constant}};
  }
  out.reason = found.reason;
  if (found.believed) {
    out.delta = *delta_of(records[found.best]);
    out.accepted = out.delta != nullptr;
    if (out.accepted)
      out.found = pool->describe(options.rule, records[found.best].alpha);
    else
      out.reason = "no mixture is better than the base on the examples";
  }
  if (nothing_is_right(found.best)) {
    if (out.accepted) out.reason += ", in likelihood alone";
    out.reason += "; no example is answered right, before or after";
  } else if (out.accepted) {
    if (const auto constant = ledger->constant_as_good(found.best))
      out.reason += "; but these examples do not tell it from always answering '" +
                    printable(shown_answer(*constant)) + "'";
  }
  scores["reason"] = out.reason;
  out.scores =
      scores.dump(-1, ' ', false, json::error_handler_t::replace);
  return out;
}

nlohmann::json few_shot_search::state::scores_of(std::size_t record) const {
  const search_record& of = ledger->records()[record];
  const auto mean = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) /
           static_cast<double>(values.size());
  };
  nlohmann::json scores{{"log_likelihood", mean(of.likelihood)}};
  if (!by_reward) return scores;
  scores["reward"] = mean(of.rewards);
  scores["right"] = right_of(record);
  for (const auto& [text, count] : commonest(said.at(record), most_answers))
    scores["answers"].push_back({{"answer", text}, {"count", count}});
  return scores;
}

std::size_t few_shot_search::state::right_of(std::size_t record) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(said.at(record), &judged_answer::right));
}

// A verifier's numbers need not say what is right.
bool few_shot_search::state::nothing_is_right(std::size_t best) const {
  return by_reward && judge->name() != "command" &&
         right_of(base_record) == 0 && right_of(best) == 0;
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

  s.weigh_shots();
  double answer_tokens = 0;
  for (const search_shot& shot : s.shots)
    answer_tokens += static_cast<double>(shot.reference.tokens.size() -
                                         shot.reference.answer_begin) /
                     static_cast<double>(s.shots.size());
  auto ledger = candidate_ledger::make(
      {.experts = s.pool->experts().size(),
       .per_expert = options.per_projection ? s.pool->layout().size() : 1},
      s.prompts.size(), s.by_reward, answer_tokens, options, s.constants());
  if (!ledger) return ledger.error();
  s.ledger = *std::move(ledger);
  const std::int64_t first =
      s.ledger->first_candidates() * s.row_tokens() + s.judging_tokens();
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
      auto& likelihood = s.ledger->records()[s.subjects[i].record].likelihood;
      likelihood.resize(s.prompts.size());
      const std::size_t shot = s.subjects[i].shot;
      const double mean = mean_log_probability(scores[i]);
      likelihood[s.prompts.group_of(shot)] +=
          std::isfinite(mean) ? mean * s.weights[shot] : nowhere;
    }
  } else {
    for (std::size_t i = 0; i < scores.size();) {
      const asked subject = s.subjects[i];
      const search_shot& shot = s.shots[subject.shot];
      std::vector<double> means;
      for (std::size_t c = 0; c < shot.choices.size(); ++c)
        means.push_back(mean_log_probability(scores[i++]));
      const auto likeliest = static_cast<std::size_t>(
          std::ranges::max_element(means) - means.begin());
      s.keep_answer(subject.record, subject.shot,
                    {shot.source.choices[likeliest],
                     s.judge->of_likelihoods(means, shot.source)});
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
    s.keep_answer(subject.record, subject.shot, {answers[i].text, *rewards[i]});
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
  few_shot_progress out{.iteration = s.ledger->iteration(),
                        .iterations = s.options.iterations,
                        .best_log_likelihood = 0,
                        .base_log_likelihood = 0,
                        .tokens = s.tokens,
                        .seconds = s.elapsed()};
  std::tie(out.base_log_likelihood, out.best_log_likelihood) =
      s.ledger->likelihoods();
  return out;
}

result<few_shot_outcome> few_shot_search::outcome() const {
  if (!state_->outcome)
    return error{ec::invalid_argument, "search: it has not ended"};
  return *state_->outcome;
}

}  // namespace t2
