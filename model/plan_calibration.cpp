// How plan_costs are measured: the code that a step runs, on random weights of
// the model's shape. What is timed walks over enough copies of a layer that a
// processor's caches cannot keep them, as a step does over the layers.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <sstream>

#include "config/durable_file.hpp"
#include "config/logging.hpp"
#include "config/sha256.hpp"
#include "model/plan_costs.hpp"
#include "model/svf_linear.hpp"

namespace t2 {
namespace {

constexpr double beyond_caches = 64e6;  // bytes
constexpr std::array<std::pair<int, int>, linears_per_layer> kinds{
    {{0, 3}, {3, 4}, {4, 6}, {6, 7}}};

std::vector<svf_linear> copies_of(std::size_t which, const svf_layout& layout,
                                  std::int64_t layers, c10::ScalarType dtype,
                                  c10::Device device) {
  std::vector<svf_linear::part> parts;
  std::vector<svd_factors> factors;
  double bytes = 0;
  for (int k = kinds[which].first; k < kinds[which].second; ++k) {
    const auto place = layout.find(0, static_cast<projection_kind>(k));
    if (place < 0) continue;
    const auto& p = layout.projections()[static_cast<std::size_t>(place)];
    const auto small = [](std::vector<std::int64_t> shape) {
      return at::rand(shape, at::kFloat) * 0.02 - 0.01;
    };
    parts.push_back(
        {p,
         [weight = small({p.out_features, p.in_features})] { return weight; },
         {}});
    factors.push_back({.u_mr = small({p.out_features, p.rank()}),
                       .s_r = at::linspace(1, 0.1, p.rank()),
                       .v_nr = small({p.in_features, p.rank()})});
    bytes += static_cast<double>(p.out_features * p.in_features) *
             static_cast<double>(c10::elementSize(dtype));
  }
  const auto count =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(beyond_caches / bytes),
                               1, layers);
  std::vector<svf_linear> out;
  for (std::int64_t i = 0; i < count; ++i) {
    out.emplace_back(parts, dtype, device, kernels::backend_for(device, dtype));
    out.back().set_factors(factors);
  }
  return out;
}

/// Seconds of f over all copies, for one of them: the better of two walks,
/// after one that nobody counts where walks are short.
template <class F>
double time_of(const std::vector<svf_linear>& copies, F&& f) {
  using clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int walk = 0; walk < 3; ++walk) {
    const auto begin = clock::now();
    at::Tensor last;
    for (const auto& linear : copies) last = f(linear);
    if (!last.device().is_cpu()) (void)last.flatten()[0].to(at::kCPU);  // waits
    const std::chrono::duration<double> took = clock::now() - begin;
    best = std::min(best, took.count());
    if (walk == 1 && took.count() > 0.2) break;
  }
  return best / static_cast<double>(copies.size());
}

/// Fewer rows never take longer: where they did, something else had the cores.
void smooth(plan_costs::curve& curve) {
  for (auto i = curve.size() - 1; i > 0; --i)
    curve[i - 1] = std::min(curve[i - 1], curve[i]);
}

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return line;
  return "unknown";
}

}  // namespace

plan_costs plan_costs::measure(const model_config& config,
                               c10::ScalarType dtype, c10::Device device) {
  const c10::InferenceMode inference;
  const svf_layout layout{config, svf_targets::all};
  const auto layers = static_cast<double>(config.layers);
  plan_costs out;
  out.measured_ = true;
  for (std::size_t i = 0; i < linears_per_layer; ++i) {
    const auto copies =
        copies_of(i, layout, config.layers, dtype, device);
    auto& map = out.maps_[i];
    const auto inputs = copies.front().parts().front().in_features;
    const auto d_gr = at::rand({1, copies.front().ranks()}, at::kFloat).to(device);
    for (std::size_t g = 0; g < grid.size(); ++g) {
      const auto x = at::rand({grid[g], inputs}, at::kFloat).to(device).to(dtype);
      const std::vector<std::int32_t> rows(static_cast<std::size_t>(grid[g]), 0);
      map.base[g] = layers * time_of(copies, [&](const svf_linear& l) {
                      return l.apply_base(x);
                    });
      map.factored[g] = layers * time_of(copies, [&](const svf_linear& l) {
                          return l.apply_factored(x, d_gr, rows);
                        });
      map.delta[g] = layers * time_of(copies, [&](const svf_linear& l) {
                       return l.apply_delta(x, d_gr, rows, 0);
                     });
    }
    for (auto* curve : {&map.base, &map.factored, &map.delta}) smooth(*curve);
    const std::vector<svf_linear> one(copies.begin(), copies.begin() + 1);
    map.build = layers * time_of(one, [&](const svf_linear& l) {
                  (void)l.materialise(d_gr[0]);
                  return d_gr;
                });
  }
  return out;
}

plan_costs plan_costs::load_or_measure(const std::filesystem::path& folder,
                                       const model_config& config,
                                       c10::ScalarType dtype,
                                       c10::Device device) {
  std::ostringstream what;
  what << "1 " << processor() << ' ' << at::get_num_threads() << ' '
       << device.str() << ' ' << c10::toString(dtype) << ' ' << config.layers
       << ' ' << config.hidden << ' ' << config.intermediate << ' '
       << config.heads << ' ' << config.kv_heads << ' ' << config.head_dim
       << (config.block.gated ? "" : " ungated");
  const auto file =
      folder / ("plan-costs-" + sha256_hex(what.str()).substr(0, 16) + ".json");
  if (std::ifstream in(file); in) {
    std::ostringstream text;
    text << in.rdbuf();
    if (auto known = from_json(text.str())) return *known;
    log(log_level::warn, file.string() + ": not what t2 wrote; measured again");
  }
  const auto costs = measure(config, dtype, device);
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (auto kept = write_file_durably(file, costs.to_json());
      !kept)
    log(log_level::warn, "plan costs are not kept: " + kept.error().message);
  return costs;
}

}  // namespace t2
