#include "model/rollout.hpp"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <string>

#include "config/first_line.hpp"
#include "model/language_model.hpp"
#include "model/transformer.hpp"

namespace t2 {
namespace {

constexpr std::int64_t step_tokens = 512;

}  // namespace

result<rollout_batch> rollout_batch::make(
    const language_model& model, std::vector<rollout_request> requests,
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

// The next rows_at_once requests, and their prompts.
void rollout_batch::open(const language_model& model) {
  if (!pool_)
    pool_ = std::make_shared<kv_pool>(
        model.config(), model.dtype(), model.device(),
        std::numeric_limits<std::int64_t>::max());
  prefixes_.clear();
  rows_.clear();
  const auto end = std::min(next_ + rows_at_once, requests_.size());
  for (; next_ < end; ++next_) {
    const auto& prompt = requests_[next_].prompt;
    const auto known = static_cast<std::int64_t>(prompt.size()) - 1;
    if (prefixes_.empty() ||
        requests_[prefixes_.back().request].prompt != prompt) {
      prefixes_.push_back({.request = next_, .size = known});
      if (known > 0) prefixes_.back().kv = pool_->allocate(known);
    }
    // The last token that is sampled is never read.
    rows_.push_back({.request = next_,
                     .kv = pool_->allocate(sampling_.max_tokens,
                                           prefixes_.back().kv, known)});
  }
}

void rollout_batch::prefill(packed_step& step) {
  std::int64_t room = step_tokens;
  for (auto& p : prefixes_) {
    const auto count = std::min(room, p.size - p.computed);
    if (count == 0) continue;
    const auto& prompt = requests_[p.request].prompt;
    const auto begin = static_cast<std::int64_t>(step.tokens.size());
    step.tokens.insert(step.tokens.end(), prompt.begin() + p.computed,
                       prompt.begin() + p.computed + count);
    step.spans.push_back({begin, begin + count, p.computed, p.kv.get()});
    step.deltas.emplace_back();
    p.computed += count;
    room -= count;
  }
}

result<void> rollout_batch::sample(language_model& model,
                                   const head_rows& rows) {
  auto logits_rv = model.network().logits(rows).contiguous();
  auto* logits = logits_rv.data_ptr<float>();
  const auto vocabulary = static_cast<std::size_t>(logits_rv.size(1));
  const auto& ends = model.config().eos_tokens;
  std::size_t at = 0;
  for (auto& r : rows_) {
    if (!r.live) continue;
    auto& out = rollouts_[r.request];
    const auto drawn = sample_token(
        std::span{logits + at++ * vocabulary, vocabulary}, out.tokens,
        sampling_, requests_[r.request].stream,
        static_cast<std::int64_t>(out.tokens.size()));
    if (!drawn) return drawn.error();
    out.tokens.push_back(drawn->token);
    out.ended = !sampling_.ignore_eos &&
                std::ranges::find(ends, drawn->token) != ends.end();
    r.live = !out.ended && out.tokens.size() - out.answer_begin <
                               static_cast<std::size_t>(sampling_.max_tokens);
    if (!r.live) r.kv.reset();
  }
  return {};
}

result<bool> rollout_batch::advance(
    language_model& model, const adapted_weights* weights) {
  if (std::ranges::none_of(rows_, &row::live)) {
    if (next_ == requests_.size()) {
      rows_.clear();
      prefixes_.clear();
      return false;
    }
    open(model);
  }
  packed_step step;
  step.weights = weights;
  prefill(step);
  const bool decode = step.tokens.empty();
  if (decode)
    for (const auto& r : rows_) {
      if (!r.live) continue;
      const auto& tokens = rollouts_[r.request].tokens;
      const auto begin = static_cast<std::int64_t>(step.tokens.size());
      step.tokens.push_back(tokens.back());
      step.spans.push_back({begin, begin + 1,
                            static_cast<std::int64_t>(tokens.size()) - 1,
                            r.kv.get()});
      step.deltas.emplace_back();
      step.logit_rows.push_back(begin);
    }
  try {
    const auto hidden_rh = model.network().forward(step);
    if (!hidden_rh) return hidden_rh.error();
    if (decode)
      if (const auto drawn = sample(model, *hidden_rh); !drawn)
        return drawn.error();
  } catch (const std::exception& e) {
    return error{ec::internal, "rollout failed: " + first_line(e.what())};
  }
  return true;
}

}  // namespace t2
