#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "adaptation/example.hpp"
#include "adaptation/expert_pool.hpp"
#include "adaptation/few_shot_options.hpp"
#include "adaptation/mixture.hpp"
#include "adaptation/prompt_form.hpp"
#include "adaptation/reward.hpp"
#include "config/result.hpp"
#include "engine/engine.hpp"

namespace t2 {

/// One example of the task, as token ids.
struct search_shot {
  example source;
  scoring_row reference;               // prompt and reference answer
  std::vector<scoring_row> choices;    // prompt and each of source.choices
};

/// Prepares the examples for `model`: encoded in this form, checked against the
/// reward.
result<std::vector<search_shot>> make_shots(
    const language_model& model, std::span<const example> examples,
    const reward& judge, prompt_form form = prompt_form::raw);

/// Texts whose likelihood the search wants: give it row scores in order.
struct score_work {
  std::vector<scoring_row> rows;
};
/// Answers the search wants to read: give it the texts in order. on_event is
/// not set.
struct generate_work {
  std::vector<generation_request> requests;
};
/// The search has ended: see outcome().
struct search_done {};
using search_work = std::variant<score_work, generate_work, search_done>;

/// One generated answer and what it cost.
struct search_answer {
  std::string text;
  std::int64_t tokens = 0;
};

struct few_shot_progress {
  std::int64_t iteration = 0, iterations = 0;
  double best_log_likelihood = 0;  // mean over shots, nats per token
  double base_log_likelihood = 0;
  std::int64_t tokens = 0;
  double seconds = 0;
};

struct few_shot_outcome {
  bool accepted = false;   // else `found` is the base
  bool truncated = false;  // seconds ran out
  mixture found;
  delta_ref delta;         // of `found`
  std::string reason;      // one line: why accepted, or why the base; also in
                           // `scores`
  std::string scores;      // JSON (docs/formats.md)
  std::string cost;        // JSON: tokens, seconds, candidates
};

/// Searches the α that make a task's reference answers likelier (paper section
/// 3.2, few-shot), and decides whether the find is to be believed. A plain
/// state machine: the caller runs each work that next() hands out and tells
/// the result. Knows no engine and no clock but the one given. One thread.
///
/// **Screen.** Every candidate's score is, over shots, the mean of the mean
/// log-probability per reference token. Each work is one packed stream of
/// candidates × shots, rows with their candidate's delta. The base is a row of
/// the first.
///
/// **Preselection.** Of more than `preselect` experts each is first scored
/// alone, and only the likeliest are searched: K experts cost K candidates, not
/// a space of K dimensions.
///
/// **Selection** from a set of candidates and a set of shots: the `survivors`
/// best by likelihood, the base among the contenders; where the reward is not
/// the likelihood itself, it is measured for them (generation, or likelihood
/// of the choices), and the highest mean reward wins, ties by likelihood.
///
/// **Prompts.** Examples that ask the same (leak_guard.hpp: copies, and other
/// answers to one prompt) are one shot in all that follows, which scores what
/// they score in the mean: they are chosen by, held out and counted together.
/// Examples of one prompt are one example.
///
/// **Cross-fitting.** For every fold f of the shots, selection runs again on
/// the shots outside f, and its winner meets f. What may enter the selection
/// of fold f are only candidates whose α does not depend on the shots of f:
/// experts alone, and those of a chain of its own: an optimiser over the
/// experts that are likeliest outside f, told only of the scores outside f,
/// with a quarter of the population an iteration. Chains over the same experts
/// share the first population (drawn before any score is told) at no cost.
/// Hence, given the seed, each held-out gain is measured on a shot that had no
/// part in finding what it measures: it is an unbiased estimate of what a
/// search on the other shots gains on a fresh one. Optimisers that do not adapt
/// (random) draw every candidate before its scores: chains over the same
/// experts share all, and cross-fitting costs nothing.
///
/// The winner on all shots is accepted when it is not the base, the mean over
/// shots of the held-out gain in log-likelihood over the base is positive (and
/// above `standard_errors` of its standard errors), and the mean held-out
/// reward is not below the base's; and when the same holds over the winners'
/// controls: the steps of their singular values in another order, as large and
/// meaning nothing (paper section 4.4). Without that a search believes in any
/// change of scale that makes an answer a little likelier: measured with
/// shuffled experts, see t2 reproduce. The estimate is of the search, not of the
/// one mixture that it returns, as in any cross-validation.
///
/// **Constant answers.** Where two classes have two prompts each or more, the
/// held-out reward must also exceed that of a constant answer chosen without
/// the half of the shots it is compared on, by more than `standard_errors` of
/// the difference, and that of every constant on the same shots; and so must the
/// mixture itself on all shots (constant_answers.hpp). Else a mixture that says
/// one word to everything is accepted wherever the base says none.
///
/// Where no example is answered right before or after, a mixture can only be
/// accepted for its likelihood, and the outcome says so.
///
/// **Budgets.** No work is begun that could pass `tokens` (a deterministic
/// limit: the same inputs end at the same place); when `seconds` are over, what
/// is known decides, and the outcome is marked truncated.
class few_shot_search {
 public:
  /// ec::invalid_argument: options, no shot; ec::exhausted: the
  /// token budget does not hold the first population.
  static result<std::unique_ptr<few_shot_search>> make(
      std::shared_ptr<const expert_pool> pool, std::vector<search_shot> shots,
      std::shared_ptr<const reward> judge, few_shot_options options,
      std::function<steady_time()> now = std::chrono::steady_clock::now);
  ~few_shot_search();

  /// The next piece of work; the same until it is told. search_done for ever
  /// once the search has ended.
  const search_work& next();
  /// The result of the last work. ec::invalid_argument: it does not fit it.
  result<void> tell(std::span<const row_score> scores);
  result<void> tell(std::span<const search_answer> answers);
  /// The same in two steps where judging is slow: what the reward has to judge
  /// (it points into `answers` and the search), and the answers with what
  /// judge().of_texts said of it, on whatever thread.
  result<std::vector<judged_text>> to_judge(
      std::span<const search_answer> answers) const;
  result<void> tell(std::span<const search_answer> answers,
                    std::span<const result<double>> rewards);
  const reward& judge() const;
  /// The seconds are over while a work runs (a caller's timer): its result is
  /// no longer wanted, what is known decides.
  void expire();
  /// Ends the search; outcome() is ec::cancelled.
  void cancel();

  few_shot_progress progress() const;
  /// Once next() says done.
  result<few_shot_outcome> outcome() const;

 private:
  few_shot_search();
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace t2
