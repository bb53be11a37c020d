#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <exception>
#include <ranges>
#include <utility>

#include "config/first_line.hpp"
#include "model/engine_state.hpp"
#include "model/transformer.hpp"

namespace t2 {
namespace {

void finish_row(score_request& request) {
  if (--request.missing > 0) return;
  auto callback = std::exchange(request.on_scores, nullptr);
  if (callback) callback(std::move(request.scores));
}

}  // namespace

/// Runs the chunks; the wanted rows come back.
result<head_rows> engine::state::forward(std::vector<chunk>& chunks) {
  // Base rows first, then mixture by mixture: each plan sees whole runs. A
  // parent stays before its children, which have its delta.
  std::ranges::stable_sort(chunks, {}, [](const chunk& c) {
    return c.unit->delta ? c.unit->delta->digest() : std::string{};
  });
  packed_step step;
  // What a search believes is exact.
  step.may_truncate = std::ranges::all_of(chunks, [](const chunk& c) {
    return c.unit->urgency == priority::live;
  });
  for (const auto& [unit, count] : chunks) {
    const auto begin = static_cast<std::int64_t>(step.tokens.size());
    const auto from = unit->tokens.begin() +
                      static_cast<std::ptrdiff_t>(unit->computed);
    step.tokens.insert(step.tokens.end(), from, from + count);
    step.spans.push_back(
        {begin, begin + count, unit->computed, unit->kv.get()});
    step.deltas.push_back(unit->delta);
    for (std::int64_t i = 0; i < count; ++i)
      if (unit->wants(unit->computed + i))
        step.logit_rows.push_back(begin + i);
  }
  return model->network().forward(step);
}

void engine::state::run(std::vector<chunk> chunks) {
  try {
    auto hidden = forward(chunks);
    if (!hidden) return fail_all(chunks, hidden.error());
    advance(chunks, *hidden);
  } catch (const std::exception& e) {
    // Out of memory, or a library's refusal: its first line.
    fail_all(chunks,
             {ec::internal, "engine step failed: " + first_line(e.what())});
  }
}

void engine::state::fail_all(const std::vector<chunk>& chunks, const error& failure) {
  for (const auto& c : chunks) fail_owner(*c.unit, failure);
}

void engine::state::advance(const std::vector<chunk>& chunks,
                            const head_rows& rows) {
  auto wanted = move_on(chunks);
  count_step(chunks);
  if (!wanted.scores.empty()) {
    const auto log_p = model->network().log_probabilities(
        rows.pick(wanted.score_rows), wanted.scored_under,
        wanted.targets);
    for (std::size_t i = 0; i < wanted.scores.size(); ++i)
      wanted.scores[i]->log_probabilities.push_back(log_p[i]);
    tell_scores(chunks);
  }
  for (const auto& [unit, count] : chunks)
    if (dynamic_cast<prefix_unit*>(unit.get()) && unit->pending() == 0)
      of(unit->urgency).remove(unit);
  if (!wanted.answers.empty())
    sample_all(wanted.answers, rows.pick(wanted.answer_rows));
}

/// Notes that the chunks are computed, and what their hidden states are for.
engine::state::wanted_rows engine::state::move_on(
    const std::vector<chunk>& chunks) {
  wanted_rows wanted;
  std::int64_t row = 0;
  const auto score = [&](row_score& into, token_id target) {
    wanted.scored_under.push_back(
        static_cast<std::int64_t>(wanted.score_rows.size()));
    wanted.targets.push_back(target);
    wanted.scores.push_back(&into);
  };
  for (const auto& [unit, count] : chunks) {
    const auto first = unit->computed;
    auto writing = std::dynamic_pointer_cast<answer_unit>(unit);
    if (writing) count_prompt(*writing);
    unit->computed += count;
    if (writing) keep_pages(*writing);
    const auto* scored = dynamic_cast<const score_unit*>(unit.get());
    const auto* prompt = dynamic_cast<const prefix_unit*>(unit.get());
    for (auto p = first; p < unit->computed; ++p) {
      if (!unit->wants(p)) continue;
      if (writing) {
        wanted.answers.push_back(writing);
        wanted.answer_rows.push_back(row);
      } else if (scored) {
        score(scored->request->scores[scored->index], scored->token_after(p));
        wanted.score_rows.push_back(row);
      } else if (prompt) {
        for (const auto& [of_row, token, whole] : prompt->firsts)
          score(prompt->request->scores[of_row], token);
        wanted.score_rows.push_back(row);
      }
      ++row;
    }
    if (scored) counters.scored_tokens += static_cast<std::uint64_t>(count);
    else if (count == 1 && writing && writing->answer_tokens() > 0)
      ++counters.decode_tokens;
    else counters.prefill_tokens += static_cast<std::uint64_t>(count);
  }
  return wanted;
}

/// Ends texts that are scored, and requests whose last text that was.
void engine::state::tell_scores(const std::vector<chunk>& chunks) {
  for (const auto& [unit, count] : chunks) {
    if (unit->pending() > 0) continue;
    if (auto* scored = dynamic_cast<score_unit*>(unit.get())) {
      of(unit->urgency).remove(unit);
      finish_row(*scored->request);
    } else if (auto* prompt = dynamic_cast<prefix_unit*>(unit.get())) {
      if (std::exchange(prompt->told, true)) continue;
      for (const auto& first_token : prompt->firsts)
        if (first_token.whole) finish_row(*prompt->request);
    }
  }
}

void engine::state::count_prompt(answer_unit& unit) {
  if (std::exchange(unit.counted, true)) return;
  counters.prompt_tokens += static_cast<std::uint64_t>(unit.prompt_size);
  counters.prompt_tokens_cached += static_cast<std::uint64_t>(unit.computed);
}

void engine::state::count_step(const std::vector<chunk>& chunks) {
  ++counters.steps;
  const auto rows = static_cast<std::int64_t>(chunks.size());
  const auto& bounds = engine_statistics::row_bounds;
  const auto at = std::ranges::lower_bound(bounds, rows) - bounds.begin();
  ++counters.step_rows[static_cast<std::size_t>(at)];
  counters.rows += chunks.size();
}

void engine::state::sample_all(const std::vector<std::shared_ptr<answer_unit>>& answers,
                const head_rows& rows) {
  auto logits_rv = model->network().logits(rows).contiguous();
  auto* logits = logits_rv.data_ptr<float>();
  const auto vocabulary = static_cast<std::size_t>(logits_rv.size(1));
  std::vector<result<sampled_token>> drawn(answers.size(), sampled_token{});
  at::parallel_for(
      0, static_cast<std::int64_t>(answers.size()), 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (auto at = begin; at < end; ++at) {
          const auto i = static_cast<std::size_t>(at);
          const auto& unit = *answers[i];
          drawn[i] = sample_token(
              std::span{logits + i * vocabulary, vocabulary}, unit.tokens,
              unit.request.sampling, unit.request.stream,
              static_cast<std::int64_t>(unit.tokens.size()));
        }
      });
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (drawn[i]) {
      accept(answers[i], *std::move(drawn[i]));
    } else {
      of(answers[i]->urgency).remove(answers[i]);
      fail(*answers[i], drawn[i].error());
    }
  }
}

void engine::state::accept(const std::shared_ptr<answer_unit>& unit, sampled_token drawn) {
  const auto& sampling = unit->request.sampling;
  const auto& eos = model->config().eos_tokens;
  if (!sampling.ignore_eos && std::ranges::find(eos, drawn.token) != eos.end()) {
    of(unit->urgency).remove(unit);
    return end(*unit, finish_reason::stop);
  }
  unit->tokens.push_back(drawn.token);
  auto piece = unit->text.push(drawn.token);
  if (!piece) {
    of(unit->urgency).remove(unit);
    return fail(*unit, piece.error());
  }
  auto event = event_of(*unit);
  event.text = std::move(piece->text);
  event.tokens.push_back(drawn);
  if (piece->stopped) {
    of(unit->urgency).remove(unit);
    event.finished = finish_reason::stop;
  } else if (unit->answer_tokens() >= sampling.max_tokens ||
             static_cast<std::int64_t>(unit->tokens.size()) >= longest()) {
    of(unit->urgency).remove(unit);
    if (auto rest = unit->text.finish()) event.text += *rest;
    event.finished = finish_reason::length;
  }
  emit(*unit, event);
}

}  // namespace t2
