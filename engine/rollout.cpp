#include "engine/rollout.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "engine/executor.hpp"
#include "engine/scheduler.hpp"
#include "model/language_model.hpp"

namespace t2 {
namespace {

constexpr std::int64_t step_tokens = 512;

}  // namespace

result<rollout_batch> rollout_batch::make(const language_model& model,
                                          std::vector<rollout_request> requests,
                                          sampling_options sampling) {
  if (auto fine = sampling.validate(); !fine) return fine.error();
  const auto& c = model.config();
  for (const auto& request : requests) {
    const auto size = static_cast<std::int64_t>(request.prompt.size());
    if (size < 1 || size + sampling.max_tokens > c.max_positions)
      return error{ec::invalid_argument,
                   "rollout: expected a prompt of 1 to " +
                       std::to_string(c.max_positions - sampling.max_tokens) +
                       " tokens, found " + std::to_string(size)};
    for (const auto token : request.prompt)
      if (token < 0 || token >= c.vocabulary)
        return error{ec::invalid_argument,
                     "rollout: expected token ids below " +
                         std::to_string(c.vocabulary) + ", found " +
                         std::to_string(token)};
  }
  rollout_batch out;
  for (const auto& request : requests)
    out.rollouts_.push_back({request.prompt, request.prompt.size(), false});
  out.requests_ = std::move(requests);
  out.sampling_ = std::move(sampling);
  return out;
}

/// All requests at once: the scheduler begins them in their order. There is
/// room for as many of the longest as run side by side.
struct rollout_batch::run {
  run(language_model& model, const std::vector<rollout_request>& requests,
      std::int64_t max_tokens)
      : pages(static_cast<page_id>(static_cast<std::int64_t>(rows_at_once) *
                                   kv_pages(longest(requests) + max_tokens))),
        plans(pages, cache, rows_at_once),
        computing(model.network(), pages.size()) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      auto row = std::make_shared<sequence>();
      row->tokens = requests[i].prompt;
      row->wanted_from = row->size() - 1;
      row->capacity = row->wanted_from + max_tokens;
      places[row.get()] = i;
      plans.add(std::move(row));
    }
  }

  static std::int64_t longest(const std::vector<rollout_request>& requests) {
    std::size_t most = 0;
    for (const auto& request : requests)
      most = std::max(most, request.prompt.size());
    return static_cast<std::int64_t>(most);
  }

  page_pool pages;
  prefix_cache cache{pages};
  scheduler plans;
  executor computing;
  delta_table deltas{0};
  std::unordered_map<const sequence*, std::size_t> places;  // of the requests
};

result<bool> rollout_batch::advance(language_model& model,
                                    const adapted_weights* weights) {
  if (requests_.empty()) return false;
  if (!run_)
    run_ = std::make_shared<run>(model, requests_, sampling_.max_tokens);
  auto& plans = run_->plans;
  const auto plan = plans.next(priority::live, step_tokens);
  if (plan.chunks.empty()) {
    run_.reset();
    if (plan.refused.empty()) return false;
    return plan.refused.front().second;
  }
  const auto output =
      run_->computing.run(make_step(plan), run_->deltas, weights);
  if (!output) {
    run_.reset();
    return output.error();
  }
  auto* logits = output->logits_rv.defined()
                     ? output->logits_rv.data_ptr<float>()
                     : nullptr;
  const auto vocabulary = static_cast<std::size_t>(model.config().vocabulary);
  const auto& ends = model.config().eos_tokens;
  std::vector<scheduler::sequence_ref> ended;
  for (const auto& [row, count] : plan.chunks) {
    if (row->computed + count <= row->wanted_from) continue;
    const auto place = run_->places.at(row.get());
    const auto drawn =
        sample_token(std::span{logits, vocabulary}, row->tokens, sampling_,
                     requests_[place].stream, row->size());
    if (!drawn) {
      run_.reset();
      return drawn.error();
    }
    logits += vocabulary;
    auto& out = rollouts_[place];
    out.tokens.push_back(drawn->token);
    out.ended = !sampling_.ignore_eos &&
                std::ranges::find(ends, drawn->token) != ends.end();
    if (out.ended || out.tokens.size() - out.answer_begin >=
                         static_cast<std::size_t>(sampling_.max_tokens)) {
      ended.push_back(row);
      continue;
    }
    row->tokens.push_back(drawn->token);
    row->wanted_from = row->size() - 1;
  }
  plans.done(plan);
  for (const auto& row : ended) plans.remove(row);
  return true;
}

}  // namespace t2
