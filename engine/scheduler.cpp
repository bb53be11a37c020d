#include "engine/scheduler.hpp"

#include <algorithm>
#include <map>
#include <ranges>
#include <string>

namespace t2 {
namespace {

constexpr auto page_tokens = kv_store::page_tokens;

/// Work that waits, and whether newcomers come before it.
struct waiting_work {
  bool waits_longer = false;
  scheduler::queue of;
  std::int64_t pending = 0;
};

/// What waits, put together by `key`, in the order in which it is served: who
/// wants least first, so that what is left of a share goes to others.
std::vector<waiting_work> grouped(const scheduler::queue& all, auto key) {
  std::map<std::uint64_t, std::size_t> places;
  std::vector<waiting_work> groups;
  for (const auto& s : all) {
    const auto [at, fresh] = places.try_emplace(key(*s), groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].of.push_back(s);
    groups[at->second].pending += s->pending();
  }
  std::ranges::stable_sort(groups, {}, &waiting_work::pending);
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

scheduler::scheduler(page_pool& pages, prefix_cache& cache,
                     std::int64_t max_sequences)
    : pages_(pages), cache_(cache), max_sequences_(max_sequences) {}

void scheduler::add(sequence_ref fresh) {
  fresh->arrival = ++arrivals_;
  fresh->root = cache_.open(fresh->scope);
  fresh->noted = fresh->root;
  queue_of(fresh->urgency).push_back(std::move(fresh));
}

void scheduler::remove(const sequence_ref& ended) {
  auto& all = queue_of(ended->urgency);
  const auto at = std::ranges::find(all, ended);
  if (at == all.end()) return;
  all.erase(at);
  release(*ended);
  cache_.close(ended->root);
}

void scheduler::release(sequence& s) {
  for (const auto page : s.pages) pages_.release(page);
  s.pages.clear();
  cache_.leave(s.noted);
  s.noted = s.root;
  s.notes = true;
  s.begun = false;
  s.computed = s.found = s.planned = 0;
}

void scheduler::preempt(sequence& s) {
  release(s);
  ++preemptions_;
}

std::vector<scheduler::sequence_ref> scheduler::of_owner(
    sequence_id owner) const {
  std::vector<sequence_ref> found;
  for (const auto& all : queues_)
    for (const auto& s : all)
      if (s->owner == owner) found.push_back(s);
  return found;
}

std::int64_t scheduler::running() const {
  std::int64_t count = 0;
  for (const auto& all : queues_)
    count += std::ranges::count_if(all, [](const auto& s) { return s->begun; });
  return count;
}

// --- a step ------------------------------------------------------------------

scheduler::plan scheduler::next(priority urgency, std::int64_t budget) {
  plan out;
  crowding_.clear();
  empty_ = true;
  refuse_impossible(urgency, out);
  if (!out.refused.empty()) return out;
  if (urgency == priority::live) make_way(urgency, budget);
  // Rows that decode go first: nobody's next token waits for a prompt.
  add_decodes(urgency, budget, out);
  add_prompts(urgency, budget, out);
  // Others that hold pages will give them back; else the first would wait for
  // ever.
  if (out.chunks.empty() && !of(urgency).empty() && running() == 0)
    out.refused.emplace_back(
        of(urgency).front(),
        error{ec::exhausted,
              "KV cache: expected room for " +
                  std::to_string(of(urgency).front()->pending()) +
                  " tokens, found none left"});
  std::ranges::stable_sort(out.chunks, {},
                           [](const chunk& c) { return c.of->slot; });
  return out;
}

void scheduler::done(const plan& computed) {
  for (const auto& fork : computed.forks) pages_.release(fork.from);
  for (const auto& [s, count] : computed.chunks) {
    s->computed += count;
    s->planned = 0;
  }
}

void scheduler::failed(const plan& lost) {
  for (const auto& fork : lost.forks) pages_.release(fork.from);
  for (const auto& [s, count] : lost.chunks) {
    for (const auto page : s->pages) pages_.release(page);
    s->pages.clear();
    s->noted = s->root;
    s->planned = 0;
  }
  for (const auto& [node, before] : lost.noted | std::views::reverse)
    cache_.take_back(node, before);
}

/// Those that all pages together would not hold.
void scheduler::refuse_impossible(priority urgency, plan& into) const {
  for (const auto& s : of(urgency))
    if (kv_pages(s->capacity) > pages_.size())
      into.refused.emplace_back(
          s,
          error{ec::exhausted,
                "KV cache: expected room for " + std::to_string(s->capacity) +
                    " tokens (" + std::to_string(kv_pages(s->capacity)) +
                    " pages), found " + std::to_string(pages_.size()) +
                    " pages in all"});
}

void scheduler::add_decodes(priority urgency, std::int64_t& budget,
                            plan& into) {
  // In order of arrival; where they are more than a step takes, the first of
  // every caller, then the second, and so on, and one token is a prompt's.
  std::vector<std::pair<std::int64_t, sequence_ref>> ready;
  std::map<std::uint64_t, std::int64_t> of_caller;
  for (const auto& s : of(urgency))
    if (s->decodes()) ready.emplace_back(of_caller[s->flow.caller]++, s);
  const bool prompts_wait = ready.size() < of(urgency).size();
  auto most = budget;
  if (std::ssize(ready) >= budget) {
    std::ranges::stable_sort(ready, {}, [](const auto& r) { return r.first; });
    if (prompts_wait) most = std::max<std::int64_t>(1, budget - 1);
  }
  for (const auto& [place, s] : ready) {
    if (most <= 0) return;
    // One before it may have taken its pages.
    if (!s->decodes() || !grow(*s, s->computed + 1)) continue;
    add_chunk(s, 1, into);
    --most;
    --budget;
  }
}

/// Shares the budget between callers: none gets more than its part while
/// another could use it.
void scheduler::add_prompts(priority urgency, std::int64_t budget, plan& into) {
  queue waiting;
  for (const auto& s : of(urgency))
    if (!s->decodes() && s->planned == 0) waiting.push_back(s);
  auto callers = grouped(waiting, [](const auto& s) { return s.flow.caller; });
  for (auto& one : callers) one.waits_longer = !is_newcomer(*one.of.front());
  std::ranges::stable_sort(callers, {}, &waiting_work::waits_longer);
  share_out(callers, budget, [&](const queue& work, std::int64_t share) {
    return add_caller(work, share, into);
  });
}

/// The same between a caller's targets.
std::int64_t scheduler::add_caller(const queue& waiting, std::int64_t budget,
                                   plan& into) {
  return share_out(
      grouped(waiting, [](const auto& s) { return s.flow.target; }), budget,
      [&](const queue& work, std::int64_t share) {
        return add_target(work, share, into);
      });
}

/// First come, first served.
std::int64_t scheduler::add_target(const queue& waiting, std::int64_t budget,
                                   plan& into) {
  std::int64_t taken = 0;
  for (const auto& s : waiting) {
    if (taken >= budget) break;
    if (!s->begun) {
      if (!may_start(*s) || !start(s, budget - taken, into)) continue;
    } else {
      const auto count = std::min(budget - taken, s->pending());
      if (!grow(*s, s->computed + count)) continue;
      add_chunk(s, count, into);
    }
    taken += s->planned;
  }
  return taken;
}

void scheduler::add_chunk(const sequence_ref& of, std::int64_t count,
                          plan& into) {
  of->planned = count;
  into.chunks.push_back({of, count});
  empty_ = false;
  note(*of, into);
}

/// From here on, others of this step find what the chunk computes.
void scheduler::note(sequence& s, plan& into) {
  const auto end = s.computed + s.planned;
  for (auto from = s.computed; from < end && s.notes;) {
    const auto page = from / page_tokens;
    const auto begin = page * page_tokens;
    const auto stop = std::min(end, begin + page_tokens);
    const auto id = s.pages[static_cast<std::size_t>(page)];
    const auto tokens = [&](std::int64_t first) {
      return std::span{s.tokens}.subspan(
          static_cast<std::size_t>(first),
          static_cast<std::size_t>(stop - first));
    };
    if (s.noted->page == id) {
      into.noted.emplace_back(s.noted, s.noted->tokens.size());
      cache_.fill_page(s.noted, tokens(from), s.stays);
    } else if (auto* next =
                   cache_.begin_page(s.noted, id, tokens(begin), s.stays)) {
      into.noted.emplace_back(next, 0);
      s.noted = next;
    } else {
      s.notes = false;
    }
    from = stop;
  }
}

// --- who may start -----------------------------------------------------------

/// Sequences of its caller, and as urgent, that have begun.
std::int64_t scheduler::holders_of(const sequence& s) const {
  return std::ranges::count_if(of(s.urgency), [&](const auto& other) {
    return other->begun && other->flow.caller == s.flow.caller;
  });
}

bool scheduler::may_start(const sequence& s) const {
  const bool newcomer = is_newcomer(s);
  // A newcomer waits for those of its own caller only.
  if (newcomer ? crowding_.contains(s.flow.caller) : !crowding_.empty())
    return false;
  const auto first = first_in_line_[static_cast<std::size_t>(s.urgency)].lock();
  if (first && !first->begun && s.arrival > first->arrival &&
      (!newcomer || first->flow.caller == s.flow.caller))
    return false;
  if (!s.answers) return true;
  const auto answering = std::ranges::count_if(
      of(s.urgency),
      [](const auto& other) { return other->begun && other->answers; });
  return answering < (newcomer ? 2 * max_sequences_ : max_sequences_);
}

/// Whether one that is as urgent computes more of the same beginning than was
/// found, and does not come to its end in this step.
bool scheduler::is_being_read(const sequence& s, std::int64_t found) const {
  const auto tokens =
      std::span{s.tokens}.first(static_cast<std::size_t>(s.wanted_from));
  for (auto urgency : {priority::live, priority::background}) {
    if (urgency > s.urgency) break;
    for (const auto& other : of(urgency)) {
      if (!other->begun || other->root != s.root) continue;
      const auto known = other->computed + other->planned;
      if (known >= other->size()) continue;
      const auto shared =
          std::ranges::mismatch(other->tokens, tokens).in2 - tokens.begin();
      if (shared > known && shared >= found + page_tokens) return true;
    }
  }
  return false;
}

/// Its first chunk, of at most `budget` tokens, behind what is known of it.
bool scheduler::start(const sequence_ref& s, std::int64_t budget, plan& into) {
  const auto found = cache_.find(
      s->root,
      std::span{s->tokens}.first(static_cast<std::size_t>(s->wanted_from)));
  if (!empty_ && is_being_read(*s, found.tokens())) return false;
  for (const auto page : found.pages) pages_.hold(page);
  if (found.slots > 0) pages_.hold(found.partly);
  s->begun = true;
  s->pages = found.pages;
  s->noted = found.last;
  s->computed = s->found = found.tokens();
  const auto count = std::min(budget, s->pending());
  const auto end = s->computed + count;
  if (!has_room_to_start(*s, kv_pages(end) - std::ssize(s->pages)) ||
      !grow(*s, end)) {
    if (found.slots > 0) pages_.release(found.partly);
    release(*s);
    crowding_.insert(s->flow.caller);  // those behind it wait as well
    auto& first = first_in_line_[static_cast<std::size_t>(s->urgency)];
    const auto known = first.lock();
    if (!known || known->begun || s->arrival < known->arrival) first = s;
    return false;
  }
  if (found.slots > 0)
    into.forks.push_back(
        {found.partly, s->pages[found.pages.size()], found.slots});
  add_chunk(s, count, into);
  return true;
}

/// A sequence starts where every other one may still get a page: else it would
/// be the first to lose what it has just computed.
bool scheduler::has_room_to_start(const sequence& s, std::int64_t pages) {
  while (spare_pages() < pages + running() - 1)
    if (s.urgency != priority::live || !preempt_for(s, false)) return false;
  return true;
}

// --- who gives pages up ------------------------------------------------------

/// What displace_for() and the background could give at most, and the page that
/// each of them needs no more.
std::int64_t scheduler::pages_to_take_for(const sequence& newcomer) const {
  std::int64_t pages = 0;
  std::set<std::uint64_t> begun_before;
  for (const auto urgency : {priority::live, priority::background})
    for (const auto& other : of(urgency)) {
      if (!other->begun || other->flow.caller == newcomer.flow.caller) continue;
      // The oldest of a caller stays.
      if (urgency == priority::live &&
          begun_before.insert(other->flow.caller).second)
        continue;
      pages += 1 + std::ranges::count_if(other->pages, [&](page_id page) {
                 return pages_.readers(page) == 1;
               });
    }
  return pages;
}

/// Frees pages for newcomers, before the step gives them to others.
void scheduler::make_way(priority urgency, std::int64_t budget) {
  std::set<std::uint64_t> seen;
  for (const auto& s : of(urgency)) {
    if (!seen.insert(s->flow.caller).second || !is_newcomer(*s)) continue;
    const auto first = kv_pages(std::min(s->pending(), budget));
    const auto lacks = [&](std::int64_t more) {
      return spare_pages() - running() + more < first;
    };
    // In vain, others would be computed again and again.
    if (lacks(pages_to_take_for(*s))) continue;
    while (lacks(0))
      if (!preempt_for(*s, false) && !displace_for(*s)) break;
  }
}

/// Takes away the pages of the youngest sequence of the caller that has the
/// most, if it has others.
bool scheduler::displace_for(const sequence& newcomer) {
  sequence_ref youngest;
  std::int64_t most = 1;
  for (const auto& other : of(newcomer.urgency)) {
    if (!other->begun || other->flow.caller == newcomer.flow.caller) continue;
    const auto held = holders_of(*other);
    if (held < 2 || held < most) continue;
    if (held > most || !youngest || other->arrival > youngest->arrival)
      youngest = other;
    most = held;
  }
  if (!youngest) return false;
  preempt(*youngest);
  return true;
}

/// Room for the positions before `end`; the last resort is what younger
/// sequences have.
bool scheduler::grow(sequence& s, std::int64_t end) {
  while (std::ssize(s.pages) < kv_pages(end)) {
    if (const auto page = pages_.take())
      s.pages.push_back(*page);
    else if (!cache_.evict() && !preempt_for(s, true))
      return false;
  }
  return true;
}

/// Takes away the pages of one that gives way to `s`: background before live,
/// and of its `peers` (those of the same priority), where they may be asked,
/// only younger ones: the youngest of the caller with the most. The only one of
/// its caller gives way to the only one of another's.
bool scheduler::preempt_for(const sequence& s, bool peers) {
  for (const auto urgency : {priority::background, priority::live}) {
    if (urgency < s.urgency) return false;
    const bool same = urgency == s.urgency;
    if (same && !peers) continue;
    const auto own = holders_of(s);
    sequence_ref chosen;
    std::int64_t most = 0;
    for (const auto& other : of(urgency) | std::views::reverse) {
      if (same && other->arrival <= s.arrival) continue;
      if (!other->begun || other.get() == &s || other->planned > 0) continue;
      const auto held = holders_of(*other);
      if (same && held == 1 && own > 1) continue;
      if (held <= most) continue;
      chosen = other;
      most = held;
    }
    if (!chosen) continue;
    preempt(*chosen);
    return true;
  }
  return false;
}

// --- the step
// ------------------------------------------------------------------

step make_step(const scheduler::plan& plan) {
  step out;
  out.forks = plan.forks;
  // What a search believes is exact.
  out.may_truncate = std::ranges::all_of(plan.chunks, [](const auto& c) {
    return c.of->urgency == priority::live;
  });
  for (const auto& [of, count] : plan.chunks) {
    const auto& s = *of;
    const auto begin = static_cast<std::int64_t>(out.tokens.size());
    const auto from =
        s.tokens.begin() + static_cast<std::ptrdiff_t>(s.computed);
    out.tokens.insert(out.tokens.end(), from, from + count);
    out.spans.push_back({begin, begin + count, s.computed, s.pages});
    out.slots.push_back(s.slot);
    for (auto p = std::max(s.wanted_from, s.computed); p < s.computed + count;
         ++p) {
      const auto row = begin + p - s.computed;
      if (s.answers) {
        out.sampled.push_back(row);
        continue;
      }
      out.scored.push_back({row, s.token_after(p)});
      if (p > s.wanted_from) continue;
      for (const auto token : s.other_firsts)
        out.scored.push_back({row, token});
    }
  }
  return out;
}

}  // namespace t2
