#include "bench/bench_model.hpp"

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "model/transformer.hpp"

namespace t2::bench {
namespace {

std::string variable(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value ? value : fallback;
}

/// Factors of random entries of the size that orthonormal columns have.
void draw_factors(language_model& model) {
  std::map<std::pair<std::int64_t, std::int64_t>, svd_factors> drawn;
  auto& linears = model.network().linears();
  for (std::size_t i = 0; i + 1 < linears.size(); ++i) {  // the head has none
    auto& linear = linears[i];
    std::vector<svd_factors> factors;
    for (const auto& part : linear.parts()) {
      const auto m = part.out_features, n = part.in_features;
      const auto r = part.rank();
      auto& known = drawn[{m, n}];
      if (!known.u_mr.defined())
        known = {.u_mr = at::randn({m, r}) / std::sqrt(static_cast<double>(m)),
                 .s_r = at::linspace(1, 0.1, r),
                 .v_nr = at::randn({n, r}) / std::sqrt(static_cast<double>(n))};
      factors.push_back(known);
    }
    linear.set_factors(std::move(factors));
  }
}

}  // namespace

const std::shared_ptr<language_model>& model() {
  static const auto loaded = [] {
    const auto svd = variable("T2_BENCH_SVD", "/tmp/t2-bench-svd");
    const bool random = svd == "random";
    const std::filesystem::path folder = variable("T2_BENCH_MODEL", "");
    auto m = language_model::load(
        {.folder = folder,
         .device = variable("T2_BENCH_DEVICE", "cpu"),
         .dtype = variable("T2_BENCH_DTYPE", "bfloat16"),
         .svd_cache = random ? folder / "svd" : std::filesystem::path{svd}});
    if (!m) {
      std::fprintf(stderr, "benchmark: %s\n", m.error().message.c_str());
      std::exit(1);
    }
    if (random) draw_factors(**m);
    return *m;
  }();
  return loaded;
}

delta_ref random_delta(std::uint64_t seed, svf_targets targets) {
  static std::map<svf_targets, at::Tensor> singular;
  auto layout = std::make_shared<svf_layout>(model()->config(), targets);
  auto& s = singular[targets];
  if (!s.defined()) {
    if (auto ok = model()->network().load_factors(*layout); !ok) {
      std::fprintf(stderr, "benchmark: %s\n", ok.error().message.c_str());
      std::exit(1);
    }
    std::vector<at::Tensor> parts;
    for (const auto& p : layout->projections()) {
      auto& net = model()->network();
      const auto& linear = net.linears()[net.linear_of(p.layer, p.kind)];
      parts.push_back(linear.factors(linear.part_of(p.kind)).s_r);
    }
    s = at::cat(parts);
  }
  at::manual_seed(seed);
  return *singular_delta::make(layout, s * 0.1 * at::randn_like(s));
}

void wait() {
  const auto device = model()->device();
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl{device.type()}.synchronizeDevice(device.index());
}

double peak_memory() {
  const auto device = model()->device();
  if (device.is_cpu()) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
  }
  using c10::CachingAllocator::StatType;
  const auto stats = c10::getDeviceAllocator(device.type())
                         ->getDeviceStats(device.index());
  return static_cast<double>(
             stats.allocated_bytes[static_cast<std::size_t>(
                                       StatType::AGGREGATE)]
                 .peak) /
         (1 << 20);
}

void forget_peak_memory() {
  const auto device = model()->device();
  if (!device.is_cpu())
    c10::getDeviceAllocator(device.type())->resetPeakStats(device.index());
}

bool time_is_left() {
  using clock = std::chrono::steady_clock;
  static const auto begin = clock::now();
  static const auto limit =
      std::strtod(variable("T2_BENCH_LIMIT", "inf").c_str(), nullptr);
  return std::chrono::duration<double>(clock::now() - begin).count() < limit;
}

}  // namespace t2::bench
