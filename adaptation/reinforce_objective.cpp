#include "adaptation/reinforce_objective.hpp"

#include <algorithm>
#include <functional>

#include "adaptation/random_stream.hpp"
#include "config/sha256.hpp"

namespace t2 {
namespace {

// Streams of the seed: the split, then one an epoch.
constexpr std::uint64_t split_stream = 0;

// Rows of a length share a pass without padding.
void sort_by_length(std::vector<training_row>& rows) {
  std::ranges::stable_sort(rows, std::greater{}, [](const auto& row) {
    return row.tokens.size();
  });
}

}  // namespace

reinforce_objective::reinforce_objective(std::vector<question> training,
                                         std::vector<question> held_out,
                                         training_spec spec,
                                         training_options options,
                                         std::string data_hash)
    : training_(std::move(training)),
      validation_(std::move(held_out)),
      held_out_(validation_),
      spec_(std::move(spec)),
      options_(std::move(options)),
      data_hash_(std::move(data_hash)) {
  for (const auto* questions : {&training_, &validation_})
    for (const question& q : *questions) {
      seen_.add(q.source);
      chat_prompts_ = chat_prompts_ || q.chat_prompt;
    }
}

result<void> reinforce_objective::begin_step(std::int64_t step) {
  validating_ = false;
  asked_.clear();
  round_.reset();
  const auto n = static_cast<std::uint64_t>(training_.size());
  const auto first = static_cast<std::uint64_t>(step * spec_.batch);
  std::vector<std::size_t> order;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(spec_.batch); ++i) {
    const auto visit = first + i;
    if (order.empty() || visit % n == 0)
      order = random_stream{spec_.seed, split_stream + 1 + visit / n}
                  .permutation(training_.size());
    asked_.insert(asked_.end(), static_cast<std::size_t>(spec_.samples),
                  &training_[order[visit % n]]);
  }
  stream_ = first * static_cast<std::uint64_t>(spec_.samples);
  return {};
}

result<void> reinforce_objective::begin_validation() {
  validating_ = true;
  asked_.clear();
  round_.reset();
  for (const question& q : validation_) asked_.push_back(&q);
  stream_ = 0;  // greedy answers draw nothing
  return {};
}

result<std::optional<gathered_rows>> reinforce_objective::gather(
    language_model& model, const adapted_linears& policy) {
  if (!round_) {
    auto made = rollout_round::make(
        model, asked_,
        {.temperature =
             validating_ ? 0.f : static_cast<float>(spec_.temperature),
         .seed = spec_.seed,
         .max_tokens = static_cast<std::int32_t>(spec_.max_answer_tokens)},
        stream_);
    if (!made) return made.error();
    round_.emplace(*std::move(made));
  }
  const auto more = round_->advance(model, &policy.dense());
  if (!more) return more.error();
  if (*more) return std::optional<gathered_rows>{};
  auto out = validating_
                 ? measure(round_->rollouts(), round_->rewards(),
                           held_out_.prompts())
                 : learn_from(round_->rollouts(), round_->rewards(),
                              static_cast<std::size_t>(spec_.samples),
                              options_.advantage, spec_.kl_weight);
  if (validating_ && !validation_.empty())
    out.report =
        held_out_.report(round_->answers(), round_->rewards()).json();
  round_.reset();
  return std::optional{std::move(out)};
}

gathered_rows reinforce_objective::learn_from(
    std::span<const rollout> rollouts, std::span<const double> rewards,
    std::size_t samples, advantage_kind advantage, double kl_weight) {
  gathered_rows out;
  out.answers = static_cast<std::int64_t>(rollouts.size());
  const auto n = static_cast<double>(rollouts.size());
  const auto weights = advantages(rewards, samples, advantage);
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    const auto& r = rollouts[i];
    const auto length = r.tokens.size() - r.answer_begin;
    out.reward += rewards[i] / n;
    out.length += static_cast<double>(length) / n;
    if (weights[i] == 0 && kl_weight == 0) continue;
    out.rows.push_back(
        {.tokens = r.tokens,
         .answer_begin = r.answer_begin,
         .weights = std::vector<float>(length,
                                       static_cast<float>(weights[i] / n)),
         .kl_weight = static_cast<float>(kl_weight / n)});
  }
  sort_by_length(out.rows);
  return out;
}

gathered_rows reinforce_objective::measure(std::span<const rollout> rollouts,
                                           std::span<const double> rewards,
                                           const prompt_groups& prompts) {
  gathered_rows out;
  out.answers = static_cast<std::int64_t>(rollouts.size());
  const auto n = static_cast<double>(prompts.size());
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    const auto& r = rollouts[i];
    const auto length = r.tokens.size() - r.answer_begin;
    const double weight = prompts.share(i) / n;
    out.reward += rewards[i] * weight;
    out.length += static_cast<double>(length) * weight;
    out.rows.push_back({.tokens = r.tokens,
                        .answer_begin = r.answer_begin,
                        .weights = std::vector<float>(length, 0.f),
                        .kl_weight = static_cast<float>(weight)});
  }
  sort_by_length(out.rows);
  return out;
}

result<std::unique_ptr<reinforce_objective>> make_reinforce_objective(
    const std::shared_ptr<const language_model>& model,
    const training_spec& spec, const reward_options& rewards) {
  const auto options = check(spec);
  if (!options) return options.error();
  if (spec.format != "jsonl")
    return error{ec::invalid_argument,
                 "format: expected jsonl for reinforce, found '" +
                     spec.format + "'"};
  auto examples = parse_examples(spec.data, "data");
  if (!examples) return examples.error();
  const prompt_groups prompts = prompt_groups::of(*examples);
  auto all = make_questions(model, *examples, spec, rewards);
  if (!all) return all.error();
  std::vector<question> training, validation;
  if (!spec.validation_data.empty()) {
    auto others = parse_examples(spec.validation_data, "validation_data");
    if (!others) return others.error();
    seen_prompts learnt;
    for (const example& e : *examples) learnt.add(e);
    if (auto fine = refuse_learnt(*others, learnt); !fine) return fine.error();
    auto held = make_questions(model, *std::move(others), spec, rewards);
    if (!held) return held.error();
    validation = *std::move(held);
    training = *std::move(all);
  } else {
    const auto held =
        hold_out(prompts, spec.validation, spec.seed, split_stream);
    for (std::size_t i = 0; i < all->size(); ++i)
      (held[i] ? validation : training).push_back(std::move((*all)[i]));
  }
  if (training.empty())
    return error{ec::invalid_argument,
                 "data: expected at least one prompt to learn from besides "
                 "those held out, found none among " +
                     std::to_string(prompts.size())};
  return std::make_unique<reinforce_objective>(
      std::move(training), std::move(validation), spec, *options,
      sha256_hex(spec.data + "\n\x1e" + spec.validation_data));
}

}  // namespace t2
