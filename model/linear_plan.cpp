#include "model/linear_plan.hpp"

#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace t2 {

std::string_view to_string(linear_plan plan) {
  switch (plan) {
    case linear_plan::base: return "base";
    case linear_plan::dense: return "dense";
    case linear_plan::factored: return "factored";
    case linear_plan::delta: return "delta";
    case linear_plan::grouped_dense: return "grouped-dense";
  }
  return "unknown";
}

namespace {

/// `delta` as a row of another layout; what that one lacks is dropped (it
/// never is: the union is used), what this one lacks is 0.
at::Tensor spread(const singular_delta& delta, const svf_layout& onto) {
  if (delta.layout().matches(onto)) return delta.d();
  auto row = at::zeros({onto.total()}, delta.d().options());
  for (std::size_t p = 0; p < delta.layout().size(); ++p) {
    const auto& projection = delta.layout().projections()[p];
    const auto at = onto.find(projection.layer, projection.kind);
    row.narrow(0, onto.offset(static_cast<std::size_t>(at)), projection.rank())
        .copy_(delta.of(p));
  }
  return row;
}

}  // namespace

step_deltas::step_deltas(const model_config& config,
                         std::span<const delta_ref> deltas,
                         std::span<const std::int64_t> counts,
                         c10::Device device)
    : device_(device) {
  bool same_layout = true;
  std::int64_t row = 0;
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    std::int32_t index = -1;
    if (deltas[i]) {
      const auto at = std::find_if(
          distinct_.begin(), distinct_.end(), [&](const delta_ref& known) {
            return known == deltas[i] || known->digest() == deltas[i]->digest();
          });
      index = static_cast<std::int32_t>(at - distinct_.begin());
      if (at == distinct_.end()) distinct_.push_back(deltas[i]);
      same_layout &= deltas[i]->layout().matches(distinct_.front()->layout());
    }
    if (counts[i] == 0) continue;
    if (index < 0 && first_adapted_ == row) first_adapted_ += counts[i];
    if (runs_.empty() || runs_.back().delta != index)
      runs_.push_back({row, row, index});
    row += counts[i];
    runs_.back().end = row;
    rows_.insert(rows_.end(), static_cast<std::size_t>(counts[i]), index);
  }
  if (distinct_.empty()) return;
  if (same_layout) {
    layout_ = distinct_.front()->shared_layout();
  } else {
    auto targets = distinct_.front()->layout().targets();
    for (const auto& delta : distinct_)
      targets = svf_targets::both(targets, delta->layout().targets());
    layout_ = std::make_shared<svf_layout>(config, targets);
  }
}

// Of dense copies nothing is read here: most steps of a warm task stack nothing.
const at::Tensor& step_deltas::stacked() const {
  if (!d_gn_.defined()) {
    std::vector<at::Tensor> table;
    for (const auto& delta : distinct_)
      table.push_back(spread(*delta, *layout_));
    d_gn_ = at::stack(table).to(device_);
  }
  return d_gn_;
}

bool step_deltas::adapt(std::span<const projection> any_of) const {
  return layout_ && std::ranges::any_of(any_of, [&](const projection& one) {
           return layout_->find(one.layer, one.kind) >= 0;
         });
}

at::Tensor step_deltas::columns(std::span<const projection> of) const {
  if (!adapt(of)) return {};
  std::vector<std::int64_t> places;
  std::int64_t ranks = 0;
  bool adjacent = true;
  for (const auto& one : of) {
    places.push_back(layout_->find(one.layer, one.kind));
    ranks += one.rank();
    adjacent &= places.back() >= 0 &&
                places.back() == places.front() +
                                     static_cast<std::int64_t>(places.size()) - 1;
  }
  const auto offset = [&](std::int64_t place) {
    return layout_->offset(static_cast<std::size_t>(place));
  };
  const auto& d_gn = stacked();
  if (adjacent) return d_gn.narrow(1, offset(places.front()), ranks);
  auto out = at::zeros({d_gn.size(0), ranks}, d_gn.options());
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < of.size(); ++i) {
    const auto rank = of[i].rank();
    if (places[i] >= 0)
      out.narrow(1, begin, rank).copy_(d_gn.narrow(1, offset(places[i]), rank));
    begin += rank;
  }
  return out;
}

}  // namespace t2
