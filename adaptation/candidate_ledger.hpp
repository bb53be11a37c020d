#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adaptation/constant_answers.hpp"
#include "adaptation/cross_fit.hpp"
#include "adaptation/few_shot_options.hpp"
#include "adaptation/search_chain.hpp"
#include "config/result.hpp"

namespace t2 {

/// What a search decides, and by what.
struct search_verdict {
  std::size_t best = 0;  // record of the winner on all shots
  bool believed = false;
  std::string reason;    // one line
  held_out_gain gain, over_control;  // of the folds' winners
  /// Of the folds' winners on their held-out shots, where a constant is a rival.
  std::optional<over_constant> over_constant_answer;
  double evidence = 0, evidence_needed = 0;  // of one shot, in nats
};

/// The candidates of a few-shot search and what they scored: the chains that
/// draw them, which of them may choose which, who meets the reward, and what is
/// believed (few_shot_search.hpp says why). Knows α and scores, no model. A shot
/// is a prompt with all its copies here. The caller writes scores into records()
/// and then says so. One thread.
class candidate_ledger {
 public:
  static constexpr std::size_t base = 0;  // the record of the base

  /// `by_reward`: records get rewards beside likelihoods. `answer_tokens`: of
  /// the one shot, where there is one (of its answers, the mean). `constants`:
  /// of the shots, where rewards can tell.
  static result<candidate_ledger> make(mixture_space space, std::size_t shots,
                                       bool by_reward, double answer_tokens,
                                       const few_shot_options& options,
                                       constant_answers constants = {});

  std::vector<search_record>& records() { return records_; }
  const std::vector<search_record>& records() const { return records_; }
  std::size_t shots() const { return shots_; }
  std::size_t folds() const { return folds_.size(); }
  std::int64_t iteration() const { return iteration_; }  // populations scored

  /// The first record of its α is scored; repetitions have its scores later.
  /// Once for each record, in order.
  bool is_first(std::size_t record);
  void forget(std::size_t record);  // that is_first said so

  /// Adds the base and what is scored first: the experts, each alone, where
  /// not all of them are searched, else a population.
  void begin();
  /// All records have scores: tells the chains.
  result<void> told();
  /// Whether there is another population, and draws it.
  bool wants_population() const;
  void draw_population();
  /// Candidates at most of what is scored first, and of a population.
  std::int64_t first_candidates() const;
  std::int64_t population_candidates() const;

  /// Those that meet the reward: the contenders of all chains, and the base.
  std::vector<std::size_t> contending() const;
  /// Sets of shots that a winner is chosen on.
  std::size_t selections() const { return chains_.size(); }

  /// Adds the controls of all winners; the new records.
  std::vector<std::size_t> add_controls();

  /// Mean log-likelihood of the base and of the best on all shots; 0 before
  /// there is any.
  std::pair<double, double> likelihoods() const;

  /// On what is known. The base has a likelihood, and rewards by_reward.
  search_verdict verdict() const;
  /// A constant answer that earns as much on all shots as this record does,
  /// where none is a rival: the shots cannot tell the two apart, and whether
  /// the task can is for people to know.
  std::optional<std::string> constant_as_good(std::size_t record) const;

 private:
  candidate_ledger() = default;
  bool tries_each() const;
  std::size_t leader_of(std::size_t chain) const;
  result<void> choose_experts();
  std::vector<std::size_t> contenders_of(std::size_t chain) const;
  std::size_t winner_of(std::size_t chain) const;
  std::vector<std::size_t> winners() const;  // of the folds
  std::size_t control_of(std::size_t record) const;
  std::optional<over_constant> over_constant_answer(
      const std::vector<std::size_t>& winners) const;
  bool beats_constants(const search_verdict& found) const;

  few_shot_options options_;
  mixture_space space_;
  std::size_t shots_ = 0;
  double answer_tokens_ = 0;
  bool by_reward_ = false;
  constant_answers constants_;
  std::vector<std::vector<std::size_t>> folds_;
  std::vector<search_chain> chains_;  // on all shots, then one a fold
  std::vector<search_record> records_;
  // The first record of an α, controls apart.
  std::map<std::pair<candidate, bool>, std::size_t> first_of_;
  std::size_t untold_ = 0;  // the first record that the chains know nothing of
  std::int64_t iteration_ = 0;
};

}  // namespace t2
