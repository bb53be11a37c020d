#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adaptation/prompt_groups.hpp"
#include "adaptation/training_objective.hpp"

namespace t2 {

/// The mean negative log-likelihood per answer token over a fixed set of rows.
/// The rows of step i are the next `batch` of an order that is drawn anew, by
/// seed, for every epoch.
class next_token_objective : public training_objective {
 public:
  /// Rows with weights of 1; `training` is not empty. `held_prompts`: which of
  /// `held_out` are copies of each other.
  next_token_objective(std::vector<training_row> training,
                       std::vector<training_row> held_out,
                       const prompt_groups& held_prompts, std::int64_t batch,
                       std::uint64_t seed, std::string data_hash,
                       seen_prompts seen, bool chat_prompts = false);

  std::string_view name() const override { return "next-token"; }
  const std::string& data_hash() const override { return data_hash_; }
  const seen_prompts& seen() const override { return seen_; }
  bool chat_prompts() const override { return chat_prompts_; }
  bool validates() const override { return !validation_.empty(); }
  result<void> begin_step(std::int64_t step) override;
  result<void> begin_validation() override;
  result<std::optional<gathered_rows>> gather(language_model&,
                                              const adapted_linears&) override;

  std::vector<training_row> rows(std::int64_t step);
  const std::vector<training_row>& validation() const { return validation_; }
  const std::vector<training_row>& training() const { return training_; }

 private:
  std::vector<training_row> training_, validation_;
  std::int64_t batch_;
  std::uint64_t seed_;
  std::string data_hash_;
  seen_prompts seen_;
  bool chat_prompts_;
  std::uint64_t epoch_;             // whose order `order_` is
  std::vector<std::size_t> order_;
  gathered_rows next_;
};

/// Of spec.data: JSONL examples (the answer alone is learned), or texts
/// separated by blank lines (all of each is learned; one longer than
/// spec.max_tokens becomes several rows). spec.validation of the prompts are
/// held out with all their copies, chosen by seed, or those of
/// spec.validation_data, which has no prompt of spec.data (ec::incompatible).
/// Errors name the line; ec::invalid_argument: nothing to learn from.
result<std::unique_ptr<next_token_objective>> make_next_token_objective(
    const language_model& model, const training_spec& spec);

}  // namespace t2
