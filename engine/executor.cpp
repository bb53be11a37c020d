#include "engine/executor.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "config/first_line.hpp"

namespace t2 {

executor::executor(transformer& net, std::int64_t pages)
    : net_(net), store_(net.make_store(pages)) {}

result<step_output> executor::run(step work, const delta_table& deltas,
                                  const adapted_weights* weights) {
  try {
    return compute(std::move(work), deltas, weights);
  } catch (const std::exception& e) {
    return error{ec::internal, "engine step failed: " + first_line(e.what())};
  }
}

result<step_output> executor::compute(step work, const delta_table& deltas,
                                      const adapted_weights* weights) {
  packed_step packed;
  packed.tokens = std::move(work.tokens);
  packed.spans = std::move(work.spans);
  packed.forks = std::move(work.forks);
  packed.embedded = std::move(work.embedded);
  packed.weights = weights;
  packed.may_truncate = work.may_truncate;
  for (const auto slot : work.slots) packed.deltas.push_back(deltas[slot]);
  // Each wanted row once, whatever for.
  auto& wanted = packed.logit_rows;
  std::vector<std::int64_t> scored_rows;
  for (const auto& [row, token] : work.scored)
    if (scored_rows.empty() || scored_rows.back() != row)
      scored_rows.push_back(row);
  std::ranges::set_union(work.sampled, scored_rows, std::back_inserter(wanted));
  auto hidden = net_.forward(packed, *store_);
  if (!hidden) return hidden.error();
  const auto places = [&](const std::vector<std::int64_t>& rows) {
    std::vector<std::int64_t> out;
    for (const auto row : rows)
      out.push_back(std::ranges::lower_bound(wanted, row) - wanted.begin());
    return out;
  };
  step_output out;
  if (!work.scored.empty()) {
    std::vector<std::int64_t> under;
    std::vector<token_id> targets;
    std::int64_t place = -1, last = -1;
    for (const auto& [row, token] : work.scored) {
      place += row != last;
      last = row;
      under.push_back(place);
      targets.push_back(token);
    }
    out.log_probabilities = net_.log_probabilities(
        hidden->pick(places(scored_rows)), under, targets);
  }
  if (!work.sampled.empty())
    out.logits_rv =
        net_.logits(hidden->pick(places(work.sampled))).contiguous();
  return out;
}

}  // namespace t2
