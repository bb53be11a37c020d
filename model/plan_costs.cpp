#include "model/plan_costs.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <nlohmann/json.hpp>

#include "model/projection.hpp"

namespace t2 {
namespace {

/// Between two measured points in a straight line; before the first as there,
/// behind the last in proportion.
double at(const plan_costs::curve& curve, std::int64_t rows) {
  constexpr auto& grid = plan_costs::grid;
  if (rows <= 0) return 0;
  const auto after = static_cast<std::size_t>(
      std::ranges::lower_bound(grid, rows) - grid.begin());
  if (after == 0) return curve.front();
  if (after == grid.size())
    return curve.back() * static_cast<double>(rows) /
           static_cast<double>(grid.back());
  const auto low = static_cast<double>(grid[after - 1]);
  const auto high = static_cast<double>(grid[after]);
  const auto part = (static_cast<double>(rows) - low) / (high - low);
  return curve[after - 1] + part * (curve[after] - curve[after - 1]);
}

std::optional<std::size_t> map_of(projection_kind kind) {
  if (kind <= projection_kind::value) return 0;
  if (kind == projection_kind::output) return 1;
  if (kind <= projection_kind::up) return 2;
  if (kind == projection_kind::down) return 3;
  return std::nullopt;
}

linear_shares entries_of(std::span<const projection> projections) {
  linear_shares sum{};
  for (const auto& p : projections)
    if (const auto map = map_of(p.kind))
      sum[*map] += static_cast<double>(p.out_features * p.in_features);
  return sum;
}

}  // namespace

linear_shares adapted_share(const model_config& config,
                            const svf_layout& layout) {
  auto share = entries_of(layout.projections());
  // Every layer has the same maps.
  auto one_layer = config;
  one_layer.layers = 1;
  const auto all = entries_of(projections_of(one_layer));
  for (std::size_t i = 0; i < share.size(); ++i)
    share[i] /= all[i] * static_cast<double>(config.layers);
  return share;
}

plan_costs plan_costs::estimate(const model_config& config,
                                c10::ScalarType dtype) {
  // A core of today: what matters is how plans compare, not the seconds.
  constexpr double bytes_per_second = 2e10, flops_per_second = 2e11;
  const auto size = static_cast<double>(c10::elementSize(dtype));
  plan_costs out;
  const svf_layout layout{config, svf_targets::all};
  for (const auto& p : layout.projections()) {
    auto& map = out.maps_[*map_of(p.kind)];
    const auto m = static_cast<double>(p.out_features);
    const auto n = static_cast<double>(p.in_features);
    const auto r = static_cast<double>(p.rank());
    const auto cost = [&](double rows, double weights) {
      return std::max(weights * size / bytes_per_second,
                      2 * weights * rows / flops_per_second);
    };
    for (std::size_t i = 0; i < grid.size(); ++i) {
      const auto rows = static_cast<double>(grid[i]);
      const auto low_rank = cost(rows, r * (m + n));
      map.base[i] += cost(rows, m * n);
      map.factored[i] += low_rank;
      map.delta[i] += cost(rows, m * n) + low_rank;
    }
    map.build += 2 * m * n * r / flops_per_second;
  }
  return out;
}

double plan_costs::seconds(linear_plan plan, const plan_question& asked) const {
  std::int64_t adapted_rows = 0;
  for (const auto rows : asked.mixture_rows) adapted_rows += rows;
  const auto all = asked.base_rows + adapted_rows;
  double sum = 0;
  for (std::size_t i = 0; i < maps_.size(); ++i) {
    const auto& map = maps_[i];
    const auto share = plan == linear_plan::base ? 0 : asked.adapted[i];
    double adapted = 0;
    switch (plan) {
      case linear_plan::base: break;
      case linear_plan::factored: adapted = at(map.factored, all); break;
      case linear_plan::delta:
        adapted = at(map.base, all) + at(map.delta, adapted_rows) -
                  at(map.base, adapted_rows);
        break;
      case linear_plan::dense:
      case linear_plan::grouped_dense:
        adapted = at(map.base, asked.base_rows);
        for (const auto rows : asked.mixture_rows)
          adapted += at(map.base, rows);
        break;
    }
    sum += share * adapted + (1 - share) * at(map.base, all);
  }
  return sum;
}

double plan_costs::build_seconds(const linear_shares& adapted) const {
  double sum = 0;
  for (std::size_t i = 0; i < maps_.size(); ++i)
    sum += adapted[i] * maps_[i].build;
  return sum;
}

linear_plan plan_costs::without_copies(const plan_question& asked) const {
  return seconds(linear_plan::factored, asked) <
                 seconds(linear_plan::delta, asked)
             ? linear_plan::factored
             : linear_plan::delta;
}

std::string plan_costs::to_json() const {
  nlohmann::ordered_json form;
  form["rows"] = grid;
  for (const auto& map : maps_)
    form["maps"].push_back({{"base", map.base},
                            {"factored", map.factored},
                            {"delta", map.delta},
                            {"build", map.build}});
  return form.dump();
}

std::optional<plan_costs> plan_costs::from_json(const std::string& text) {
  const auto form = nlohmann::json::parse(text, nullptr, false);
  if (!form.is_object()) return std::nullopt;
  try {
    if (form.at("rows").get<std::vector<std::int64_t>>() !=
        std::vector<std::int64_t>(grid.begin(), grid.end()))
      return std::nullopt;
    plan_costs out;
    out.measured_ = true;
    for (std::size_t i = 0; i < linears_per_layer; ++i) {
      const auto& map = form.at("maps").at(i);
      out.maps_[i] = {.base = map.at("base").get<curve>(),
                      .factored = map.at("factored").get<curve>(),
                      .delta = map.at("delta").get<curve>(),
                      .build = map.at("build").get<double>()};
      for (const auto* known : {&out.maps_[i].base, &out.maps_[i].factored,
                                &out.maps_[i].delta})
        if (!std::ranges::all_of(*known, [](double s) { return s > 0; }))
          return std::nullopt;
    }
    return out;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace t2
