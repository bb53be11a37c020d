#include <algorithm>
#include <map>
#include <ranges>

#include "model/engine_state.hpp"

namespace t2 {
namespace {

bool has(const auto& chunks, const engine_unit* unit) {
  return std::ranges::any_of(
      chunks, [&](const auto& c) { return c.unit.get() == unit; });
}

bool is_answer(const engine_unit& unit) {
  return dynamic_cast<const answer_unit*>(&unit) != nullptr;
}

bool decodes(const engine_unit& unit) {
  return unit.kv && unit.pending() == 1 && is_answer(unit);
}

prefix_key root_of(const engine_unit& unit) {
  return prefix_root(unit.delta ? unit.delta->digest() : std::string{});
}

/// The key of the first page of a prompt; nothing where it has none that could
/// be shared.
std::optional<prefix_key> first_page(const engine_unit& unit) {
  constexpr auto size = static_cast<std::size_t>(kv_page::tokens);
  if (unit.parent || !is_answer(unit) || unit.tokens.size() <= size)
    return std::nullopt;
  return prefix_after(root_of(unit), std::span{unit.tokens}.first(size));
}

}  // namespace

std::vector<engine::state::chunk> engine::state::pack(priority urgency,
                                                      std::int64_t budget) {
  std::vector<chunk> chunks;
  crowded = false;
  begun.clear();
  refuse_impossible(urgency);
  // Rows that decode go first: nobody's next token waits for a prompt.
  add_decodes(urgency, budget, chunks);
  add_prompts(urgency, budget, chunks);
  return chunks;
}

void engine::state::add_decodes(priority urgency, std::int64_t& budget,
                                std::vector<chunk>& chunks) {
  for (const auto& unit : of(urgency)) {
    if (budget <= 0) return;
    if (!decodes(*unit) || !grow(*unit, 1, chunks)) continue;
    chunks.push_back({unit, 1});
    --budget;
  }
}

/// Shares the budget between flows: none gets more than its part while another
/// could use it. Within a flow, first come, first served.
void engine::state::add_prompts(priority urgency, std::int64_t budget,
                                std::vector<chunk>& chunks) {
  struct waiting {
    units of;
    std::int64_t pending = 0;
  };
  std::map<std::uint64_t, std::size_t> places;
  std::vector<waiting> flows;
  for (const auto& unit : of(urgency)) {
    if (decodes(*unit)) continue;
    const auto [at, fresh] = places.try_emplace(unit->flow, flows.size());
    if (fresh) flows.emplace_back();
    flows[at->second].of.push_back(unit);
    flows[at->second].pending += unit->pending();
  }
  std::ranges::stable_sort(flows, {}, &waiting::pending);
  auto left = static_cast<std::int64_t>(flows.size());
  for (const auto& flow : flows) {
    if (budget <= 0) return;
    const auto share = (budget + left - 1) / left;
    budget -= add_flow(flow.of, share, chunks);
    --left;
  }
}

std::int64_t engine::state::add_flow(const units& flow, std::int64_t budget,
                                     std::vector<chunk>& chunks) {
  std::int64_t taken = 0;
  for (const auto& unit : flow) {
    if (taken >= budget) break;
    if (unit->parent && unit->parent->pending() > 0) {
      // Its keys may be written in the same step.
      const auto parent = std::ranges::find(
          chunks, unit->parent, [](const chunk& c) { return c.unit; });
      if (parent == chunks.end() || parent->count < unit->parent->pending())
        continue;
    }
    const bool fresh = !unit->kv;
    if (fresh) {
      if (!may_start(*unit, chunks)) continue;
      open_cache(*unit);
    }
    const auto count = std::min(budget - taken, unit->pending());
    if ((fresh && !has_room_to_start(*unit, count, chunks)) ||
        !grow(*unit, count, chunks)) {
      if (!fresh) continue;
      unit->start_over();
      crowded = true;  // those behind it wait as well
      auto& first = first_in_line[static_cast<std::size_t>(unit->urgency)];
      const auto known = first.lock();
      if (!known || known->kv || unit->arrival < known->arrival) first = unit;
      continue;
    }
    if (const auto first = first_page(*unit)) begun.push_back(*first);
    chunks.push_back({unit, count});
    taken += count;
  }
  return taken;
}

bool engine::state::may_start(const engine_unit& unit,
                              const std::vector<chunk>& chunks) {
  if (crowded) return false;
  const auto first =
      first_in_line[static_cast<std::size_t>(unit.urgency)].lock();
  if (first && !first->kv && unit.arrival > first->arrival) return false;
  if (is_answer(unit)) {
    const auto running = std::ranges::count_if(
        of(unit.urgency), [](const auto& u) { return u->kv && is_answer(*u); });
    if (running >= options.max_sequences) return false;
  }
  // What a prompt with the same beginning computes now is found in the next
  // step.
  const auto page = first_page(unit);
  return !page || cache.knows(*page) ||
         std::ranges::find(begun, *page) == begun.end() || chunks.empty();
}

void engine::state::open_cache(engine_unit& unit) {
  if (unit.parent) {
    unit.kv = pool.open(*unit.parent->kv, unit.start);
    return;
  }
  auto* answer = dynamic_cast<answer_unit*>(&unit);
  if (!answer) {
    unit.kv = pool.open();
    return;
  }
  answer->cached_key = root_of(unit);
  // Live answers may have been computed with fewer singular values, and what a
  // search believes is exact.
  if (options.delta_rank > 0 && unit.delta &&
      unit.urgency == priority::background) {
    unit.kv = pool.open();
    return;
  }
  // The last token's hidden state is wanted: it is always computed.
  auto pages = cache.find(answer->cached_key,
                          std::span{unit.tokens}.first(unit.tokens.size() - 1));
  answer->cached_pages = static_cast<std::int64_t>(pages.size());
  unit.computed = answer->cached_pages * kv_page::tokens;
  unit.kv = pool.open(std::move(pages));
}

std::int64_t engine::state::holders() const {
  std::int64_t count = 0;
  for (const auto& q : queue)
    count += std::ranges::count_if(q, [](const auto& u) { return !!u->kv; });
  return count;
}

/// A sequence starts where every other one may still get a page: else it would
/// be the first to lose what it has just computed.
bool engine::state::has_room_to_start(engine_unit& unit, std::int64_t count,
                                      const std::vector<chunk>& chunks) {
  for (;;) {
    const auto others = holders() - 1;
    const auto spare =
        (pool.budget_bytes() - pool.bytes_used()) / pool.page_bytes() +
        cache.idle_pages();
    if (spare * pool.page_bytes() >=
        pool.bytes_for(count) + others * pool.page_bytes())
      return true;
    if (drop_idle_prefix()) continue;
    if (unit.urgency == priority::live && preempt_after(unit, chunks, false)) continue;
    if (others == 0 && release_parent_after(unit, chunks)) continue;
    return false;
  }
}

/// Room for the next `count` tokens; the last resort is what younger sequences
/// have.
bool engine::state::grow(engine_unit& unit, std::int64_t count,
                         const std::vector<chunk>& chunks) {
  while (!pool.grow(*unit.kv, unit.computed + count))
    if (!cache.evict() && !drop_idle_prefix() &&
        !preempt_after(unit, chunks, true) && !release_parent_after(unit, chunks))
      return false;
  return true;
}

/// Takes away the cache of the youngest that gives way to `unit`: background
/// before live, and of its `peers` (those of the same priority), where they may
/// be asked, only younger ones.
bool engine::state::preempt_after(const engine_unit& unit,
                                  const std::vector<chunk>& chunks,
                                  bool peers) {
  for (const auto urgency : {priority::background, priority::live}) {
    if (urgency < unit.urgency) return false;
    const bool same = urgency == unit.urgency;
    if (same && !peers) continue;
    for (const auto& other : of(urgency) | std::views::reverse) {
      if (same && other->arrival <= unit.arrival) continue;
      if (!other->kv || other.get() == &unit || has(chunks, other.get()))
        continue;
      other->start_over();
      ++counters.preemptions;
      return true;
    }
  }
  return false;
}

/// Has a beginning that younger texts share computed again later.
bool engine::state::release_parent_after(const engine_unit& unit,
                                         const std::vector<chunk>& chunks) {
  const auto is_own = [&](const engine_unit* parent) {
    for (auto up = unit.parent.get(); up; up = up->parent.get())
      if (up == parent) return true;
    return false;
  };
  for (auto& q : queue)
    for (auto it = q.begin(); it != q.end(); ++it) {
      const auto parent = (*it)->parent;
      if (!parent || !parent->kv || parent->pending() > 0 ||
          is_own(parent.get()) || (*it).get() == &unit)
        continue;
      if (std::ranges::any_of(chunks, [&](const chunk& c) {
            return c.unit->parent == parent || c.unit == parent;
          }))
        continue;
      parent->start_over();
      parent->arrival = (*it)->arrival;
      q.insert(it, parent);
      ++counters.preemptions;
      return true;
    }
  return false;
}

bool engine::state::drop_idle_prefix() {
  for (auto it = prefixes.end(); it != prefixes.begin();)
    if ((--it)->unit->pending() == 0 && it->unit.use_count() == 1) {
      prefixes.erase(it);
      return true;
    }
  return false;
}

/// Ends what the whole cache would not hold.
void engine::state::refuse_impossible(priority urgency) {
  const auto fits = [&](const auto& unit) {
    return pool.bytes_for(unit->start) + pool.bytes_for(unit->capacity) <=
           pool.budget_bytes();
  };
  for (;;) {
    const auto at = std::ranges::find_if_not(of(urgency), fits);
    if (at == of(urgency).end()) return;
    const auto unit = *at;
    const auto tokens = unit->start + unit->capacity;
    fail_owner(*unit, {ec::exhausted,
                       "KV cache: expected room for " + std::to_string(tokens) +
                           " tokens (" + std::to_string(pool.bytes_for(tokens)) +
                           " bytes), found a budget of " +
                           std::to_string(pool.budget_bytes()) + " bytes"});
  }
}

/// Nothing could be packed although units wait. While others hold pages they
/// will come back; else the first unit would wait for ever.
void engine::state::refuse_first(priority urgency) {
  if (of(urgency).empty() || holders() > 0) return;
  const auto unit = of(urgency).front();
  fail_owner(*unit, {ec::exhausted, "KV cache: expected room for " +
                                        std::to_string(unit->pending()) +
                                        " tokens, found none left"});
}

void engine::state::keep_pages(answer_unit& unit) {
  if (unit.urgency != priority::live || unit.parent) return;
  while ((unit.cached_pages + 1) * kv_page::tokens <= unit.computed) {
    const auto begin = unit.cached_pages * kv_page::tokens;
    const prefix_key before = unit.cached_key;
    unit.cached_key = prefix_after(
        before, std::span{unit.tokens}.subspan(
                             static_cast<std::size_t>(begin),
                             static_cast<std::size_t>(kv_page::tokens)));
    cache.put(unit.cached_key, before,
              unit.kv->segments()[static_cast<std::size_t>(unit.cached_pages)]
                  .page);
    ++unit.cached_pages;
  }
}

}  // namespace t2
