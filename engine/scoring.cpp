#include "engine/scoring.hpp"

#include <algorithm>
#include <numeric>
#include <span>

namespace t2 {
namespace {

std::span<const token_id> prompt_of(const scoring_row& row) {
  return std::span{row.tokens}.first(row.answer_begin);
}

bool ask_the_same(const scoring_row& a, const scoring_row& b) {
  return a.delta == b.delta && std::ranges::equal(prompt_of(a), prompt_of(b));
}

}  // namespace

double row_score::sum() const {
  return std::accumulate(log_probabilities.begin(), log_probabilities.end(),
                         0.0);
}

std::size_t scored_text::take(std::int64_t p, const float* log_p) const {
  const auto place = static_cast<std::size_t>(p + 1 - answer_begin);
  request->scores[row].log_probabilities[place] = *log_p;
  if (place > 0) return 1;
  for (std::size_t i = 0; i < others.size(); ++i)
    request->scores[others[i]].log_probabilities[0] = log_p[1 + i];
  return 1 + others.size();
}

std::vector<scoring_sequence> plan_scoring(
    std::vector<scoring_row> rows,
    const std::shared_ptr<score_request>& request) {
  std::vector<scoring_sequence> out;
  request->scores.resize(rows.size());
  std::size_t first = 0;  // of those that ask the same
  std::size_t teller = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto& row = rows[i];
    const auto answer = row.tokens.size() - row.answer_begin;
    request->scores[i].log_probabilities.resize(answer);
    const bool told = i > 0 && ask_the_same(rows[first], row);
    if (told) {
      out[teller].told.others.push_back(i);
      out[teller].computed->other_firsts.push_back(
          row.tokens[row.answer_begin]);
      if (answer == 1) continue;
    } else {
      first = i;
      teller = out.size();
    }
    auto s = std::make_shared<sequence>();
    s->answers = false;
    s->last_token = row.tokens.back();
    // The first row's own tokens are compared with until its group ends.
    s->tokens.assign(row.tokens.begin(), row.tokens.end() - 1);
    s->wanted_from =
        static_cast<std::int64_t>(row.answer_begin) - (told ? 0 : 1);
    s->capacity = s->size();
    out.push_back({std::move(s),
                   {.request = request,
                    .row = i,
                    .answer_begin = static_cast<std::int64_t>(row.answer_begin),
                    .others = {}}});
  }
  request->missing = out.size();
  return out;
}

}  // namespace t2
