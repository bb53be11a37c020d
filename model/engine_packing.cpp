#include <algorithm>
#include <map>
#include <ranges>
#include <set>
#include <utility>

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
  const auto* answer = dynamic_cast<const answer_unit*>(&unit);
  return prefix_root(unit.delta ? unit.delta->digest() : std::string{},
                     answer ? answer->request.cache_scope : std::string{});
}

/// The key of the first page of a prompt; nothing where it has none that could
/// be shared.
std::optional<prefix_key> first_page(const engine_unit& unit) {
  constexpr auto size = static_cast<std::size_t>(kv_page::tokens);
  if (unit.parent || !is_answer(unit) || unit.tokens.size() <= size)
    return std::nullopt;
  return prefix_after(root_of(unit), std::span{unit.tokens}.first(size));
}

/// Work that waits, and who it belongs to.
template <class Units>
struct waiting_work {
  bool waits_longer = false;  // newcomers come before it
  Units of;
  std::int64_t pending = 0;
};

/// What waits, put together by `key`, in the order in which it is served: who
/// wants least first, so that what is left of a share goes to others.
template <class Units, class Key>
auto grouped(const Units& all, Key key) {
  std::map<std::uint64_t, std::size_t> places;
  std::vector<waiting_work<Units>> groups;
  for (const auto& unit : all) {
    const auto [at, fresh] = places.try_emplace(key(*unit), groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].of.push_back(unit);
    groups[at->second].pending += unit->pending();
  }
  std::ranges::stable_sort(groups, {}, &waiting_work<Units>::pending);
  return groups;
}

/// Each of `groups` takes its equal part of the budget at most, the rest goes
/// to those behind it. What was taken in all.
std::int64_t share_out(const auto& groups, std::int64_t budget, auto take) {
  std::int64_t taken = 0;
  auto left = static_cast<std::int64_t>(groups.size());
  for (const auto& group : groups) {
    if (taken >= budget) break;
    taken += take(group.of, (budget - taken + left - 1) / left);
    --left;
  }
  return taken;
}

}  // namespace

std::vector<engine::state::chunk> engine::state::pack(priority urgency,
                                                      std::int64_t budget) {
  std::vector<chunk> chunks;
  crowding.clear();
  begun.clear();
  refuse_impossible(urgency);
  make_way(urgency, budget);
  // Rows that decode go first: nobody's next token waits for a prompt.
  add_decodes(urgency, budget, chunks);
  add_prompts(urgency, budget, chunks);
  return chunks;
}

void engine::state::add_decodes(priority urgency, std::int64_t& budget,
                                std::vector<chunk>& chunks) {
  // In order of arrival; where they are more than a step takes, the first of
  // every caller, then the second, and so on, and one token is a prompt's.
  std::vector<std::pair<std::int64_t, std::shared_ptr<engine_unit>>> ready;
  std::map<std::uint64_t, std::int64_t> of_caller;
  for (const auto& unit : of(urgency))
    if (decodes(*unit))
      ready.emplace_back(of_caller[unit->flow.caller]++, unit);
  const bool prompts_wait = ready.size() < of(urgency).size();
  auto most = budget;
  if (std::ssize(ready) >= budget) {
    std::ranges::stable_sort(ready, {}, [](const auto& r) { return r.first; });
    if (prompts_wait) most = std::max<std::int64_t>(1, budget - 1);
  }
  for (const auto& [place, unit] : ready) {
    if (most <= 0) return;
    // One before it may have taken its pages.
    if (!decodes(*unit) || !grow(*unit, 1, chunks)) continue;
    chunks.push_back({unit, 1});
    --most;
    --budget;
  }
}

/// Shares the budget between callers: none gets more than its part while
/// another could use it.
void engine::state::add_prompts(priority urgency, std::int64_t budget,
                                std::vector<chunk>& chunks) {
  units waiting;
  for (const auto& unit : of(urgency))
    if (!decodes(*unit) && !has(chunks, unit.get())) waiting.push_back(unit);
  auto callers =
      grouped(waiting, [](const engine_unit& u) { return u.flow.caller; });
  for (auto& one : callers) one.waits_longer = !is_newcomer(*one.of.front());
  std::ranges::stable_sort(callers, {}, &waiting_work<units>::waits_longer);
  share_out(callers, budget, [&](const units& work, std::int64_t share) {
    return add_caller(work, share, chunks);
  });
}

/// The same between a caller's targets.
std::int64_t engine::state::add_caller(const units& waiting,
                                       std::int64_t budget,
                                       std::vector<chunk>& chunks) {
  return share_out(
      grouped(waiting, [](const engine_unit& u) { return u.flow.target; }),
      budget, [&](const units& work, std::int64_t share) {
        return add_target(work, share, chunks);
      });
}

/// First come, first served.
std::int64_t engine::state::add_target(const units& waiting,
                                       std::int64_t budget,
                                       std::vector<chunk>& chunks) {
  std::int64_t taken = 0;
  for (const auto& unit : waiting) {
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
      crowding.insert(unit->flow.caller);  // those behind it wait as well
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

/// Sequences of the unit's caller, and as urgent, that have begun.
std::int64_t engine::state::holders_of(const engine_unit& unit) const {
  return std::ranges::count_if(
      queue[static_cast<std::size_t>(unit.urgency)], [&](const auto& u) {
        return u->kv && u->flow.caller == unit.flow.caller;
      });
}

bool engine::state::is_newcomer(const engine_unit& unit) const {
  return holders_of(unit) == 0;
}

bool engine::state::may_start(const engine_unit& unit,
                              const std::vector<chunk>& chunks) {
  const bool newcomer = is_newcomer(unit);
  // A newcomer waits for those of its own caller only.
  if (newcomer ? crowding.contains(unit.flow.caller) : !crowding.empty())
    return false;
  const auto first =
      first_in_line[static_cast<std::size_t>(unit.urgency)].lock();
  if (first && !first->kv && unit.arrival > first->arrival &&
      (!newcomer || first->flow.caller == unit.flow.caller))
    return false;
  if (is_answer(unit)) {
    const auto running = std::ranges::count_if(
        of(unit.urgency), [](const auto& u) { return u->kv && is_answer(*u); });
    const auto most = newcomer ? 2 * options.max_sequences
                               : options.max_sequences;
    if (running >= most) return false;
  }
  // What a prompt with the same beginning computes now is found in the next
  // step.
  const auto page = first_page(unit);
  return !page || cache.knows(*page) ||
         std::ranges::find(begun, *page) == begun.end() || chunks.empty();
}

/// What displace_for() and the background could give at most, and the page that
/// each of them needs no more.
std::int64_t engine::state::pages_to_take_for(
    const engine_unit& newcomer) const {
  std::int64_t pages = 0;
  std::set<std::uint64_t> begun_before;
  for (const auto urgency : {priority::live, priority::background})
    for (const auto& other : queue[static_cast<std::size_t>(urgency)]) {
      if (!other->kv || other->flow.caller == newcomer.flow.caller) continue;
      // The oldest of a caller stays.
      if (urgency == priority::live &&
          begun_before.insert(other->flow.caller).second)
        continue;
      pages += 1 + pool.bytes_for(other->computed - other->start) /
                       pool.page_bytes();
    }
  return pages;
}

/// Frees pages for newcomers, before the step gives them to others.
void engine::state::make_way(priority urgency, std::int64_t budget) {
  if (urgency != priority::live) return;
  std::set<std::uint64_t> seen;
  for (const auto& unit : of(urgency)) {
    if (!seen.insert(unit->flow.caller).second || !is_newcomer(*unit)) continue;
    const auto first = pool.bytes_for(std::min(unit->pending(), budget));
    const auto lacks = [&](std::int64_t more) {
      return (spare_pages() - holders() + more) * pool.page_bytes() < first;
    };
    // In vain, others would be computed again and again.
    if (lacks(pages_to_take_for(*unit))) continue;
    while (lacks(0))
      if (!drop_idle_prefix() && !preempt_after(*unit, {}, false) &&
          !displace_for(*unit))
        break;
  }
}

/// Takes away the cache of the youngest sequence of the caller that has the
/// most, if it has others.
bool engine::state::displace_for(const engine_unit& newcomer) {
  std::shared_ptr<engine_unit> youngest;
  std::int64_t most = 1;
  for (const auto& other : of(newcomer.urgency)) {
    if (!other->kv || other->flow.caller == newcomer.flow.caller) continue;
    const auto held = holders_of(*other);
    if (held < 2 || held < most) continue;
    if (held > most || !youngest || other->arrival > youngest->arrival)
      youngest = other;
    most = held;
  }
  if (!youngest) return false;
  youngest->start_over();
  ++counters.preemptions;
  return true;
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

/// Pages that are free, or would be for the asking.
std::int64_t engine::state::spare_pages() const {
  return (pool.budget_bytes() - pool.bytes_used()) / pool.page_bytes() +
         cache.idle_pages();
}

/// A sequence starts where every other one may still get a page: else it would
/// be the first to lose what it has just computed.
bool engine::state::has_room_to_start(engine_unit& unit, std::int64_t count,
                                      const std::vector<chunk>& chunks) {
  for (;;) {
    const auto others = holders() - 1;
    if (spare_pages() * pool.page_bytes() >=
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

/// Takes away the cache of one that gives way to `unit`: background before live,
/// and of its `peers` (those of the same priority), where they may be asked, only
/// younger ones: the youngest of the caller with the most. The only one of its
/// caller gives way to the only one of another's.
bool engine::state::preempt_after(const engine_unit& unit,
                                  const std::vector<chunk>& chunks,
                                  bool peers) {
  for (const auto urgency : {priority::background, priority::live}) {
    if (urgency < unit.urgency) return false;
    const bool same = urgency == unit.urgency;
    if (same && !peers) continue;
    const auto own = holders_of(unit);
    std::shared_ptr<engine_unit> chosen;
    std::int64_t most = 0;
    for (const auto& other : of(urgency) | std::views::reverse) {
      if (same && other->arrival <= unit.arrival) continue;
      if (!other->kv || other.get() == &unit || has(chunks, other.get()))
        continue;
      const auto held = holders_of(*other);
      if (same && held == 1 && own > 1) continue;
      if (held <= most) continue;
      chosen = other;
      most = held;
    }
    if (!chosen) continue;
    chosen->start_over();
    ++counters.preemptions;
    return true;
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
