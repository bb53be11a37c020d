#include "model/engine_unit.hpp"

#include <algorithm>

namespace t2 {
namespace {

// A shorter common beginning does not pay for a sequence of its own.
constexpr std::size_t worth_sharing = 8;

std::shared_ptr<prefix_unit> make_prefix(const scoring_row& row,
                                         std::size_t length,
                                         std::shared_ptr<engine_unit> parent,
                                         sequence_id owner, priority urgency) {
  auto unit = std::make_shared<prefix_unit>();
  unit->owner = owner;
  unit->urgency = urgency;
  unit->delta = row.delta;
  unit->tokens.assign(row.tokens.begin(),
                      row.tokens.begin() + static_cast<std::ptrdiff_t>(length));
  if (parent) unit->start = static_cast<std::int64_t>(parent->tokens.size());
  unit->computed = unit->start;
  unit->capacity = unit->pending();
  unit->parent = std::move(parent);
  return unit;
}

/// Tokens of a prompt that all of `rows` begin with.
std::size_t common_beginning(std::span<const scoring_row> rows) {
  std::size_t length = rows.front().answer_begin;
  const auto& first = rows.front().tokens;
  for (const auto& row : rows.subspan(1)) {
    length = std::min(length, row.answer_begin);
    length = static_cast<std::size_t>(
        std::mismatch(first.begin(),
                      first.begin() + static_cast<std::ptrdiff_t>(length),
                      row.tokens.begin())
            .first -
        first.begin());
  }
  return length;
}

}  // namespace

void score_unit::start_over() {
  engine_unit::start_over();
  // What the parent's last position told stays.
  auto& known = request->scores[index].log_probabilities;
  const auto told = std::max<std::int64_t>(0, start + 1 - answer_begin);
  if (static_cast<std::int64_t>(known.size()) > told)
    known.resize(static_cast<std::size_t>(told));
}

std::vector<std::shared_ptr<engine_unit>> plan_scoring(
    std::vector<scoring_row> rows, const std::shared_ptr<score_request>& request,
    priority urgency, std::size_t shared_prefix,
    std::shared_ptr<prefix_unit>& cached) {
  std::vector<std::shared_ptr<engine_unit>> units;
  std::shared_ptr<engine_unit> root;
  if (shared_prefix > 0) {
    if (!cached) {
      cached = make_prefix(rows.front(), shared_prefix, nullptr, 0, urgency);
      units.push_back(cached);
    }
    root = cached;
  }
  for (std::size_t begin = 0; begin < rows.size();) {
    auto end = begin + 1;
    while (end < rows.size() && rows[end].delta == rows[begin].delta) ++end;
    std::shared_ptr<engine_unit> parent = root;
    std::shared_ptr<prefix_unit> prompt;  // all of it, where all share it
    if (end - begin > 1) {
      const auto group = std::span{rows}.subspan(begin, end - begin);
      auto length = common_beginning(group);
      const bool whole = std::ranges::all_of(group, [&](const auto& row) {
        return row.answer_begin == length;
      });
      // Without that, what predicts an answer belongs to its row.
      if (!whole)
        for (const auto& row : group)
          length = std::min(length, row.answer_begin - 1);
      if (whole || length >= shared_prefix + worth_sharing) {
        auto shared =
            make_prefix(rows[begin], length, root, request->id, urgency);
        if (whole) {
          prompt = shared;
          prompt->request = request;
        }
        units.push_back(shared);
        parent = std::move(shared);
      }
    }
    for (; begin < end; ++begin) {
      auto unit = std::make_shared<score_unit>();
      unit->owner = request->id;
      unit->urgency = urgency;
      unit->delta = rows[begin].delta;
      unit->request = request;
      unit->index = begin;
      unit->answer_begin = static_cast<std::int64_t>(rows[begin].answer_begin);
      unit->tokens = std::move(rows[begin].tokens);
      if (prompt)
        prompt->firsts.push_back(
            {.row = begin,
             .token = unit->tokens[rows[begin].answer_begin],
             .whole = unit->tokens.size() == rows[begin].answer_begin + 1});
      unit->last_token = unit->tokens.back();
      unit->tokens.pop_back();
      if (parent) unit->start = static_cast<std::int64_t>(parent->tokens.size());
      unit->computed = unit->start;
      unit->capacity = unit->pending();
      unit->parent = parent;
      // One token of answer is all told by the prompt.
      if (unit->pending() > 0) units.push_back(std::move(unit));
    }
  }
  return units;
}

}  // namespace t2
