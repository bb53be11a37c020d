// Decomposition of the 135M shape's weights, LAPACK's gesdd beside it in the
// same run. JSON: --benchmark_format=json. `reconstruction` and
// `orthogonality` are what the check measured of the last result.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>

#include <algorithm>

#include "model/svd.hpp"

namespace {

enum spectrum { flat, steep };

/// Gaussian (flat), or with singular values that fall over four decades like
/// those of trained weights (steep), rounded to bfloat16 as checkpoints are.
at::Tensor matrix(const benchmark::State& state) {
  const auto m = state.range(0), n = state.range(1);
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  generator.set_current_seed(1);
  if (state.range(2) == flat) return at::randn({m, n}) * 0.04;
  const auto r = std::min(m, n);
  const auto u = std::get<0>(at::linalg_qr(at::randn({m, r})));
  const auto v = std::get<0>(at::linalg_qr(at::randn({n, r})));
  const auto i = at::arange(1, r + 1).to(at::kFloat);
  const auto s = at::pow(i, -0.7) * (1 - 0.999 * (i - 1) / r) * 10;
  return at::matmul(u * s, v.t()).to(at::kBFloat16).to(at::kFloat);
}

void report(benchmark::State& state, const t2::svd_quality& quality) {
  state.counters["reconstruction"] = quality.reconstruction;
  state.counters["orthogonality"] =
      std::max(quality.orthogonality_u, quality.orthogonality_v);
}

/// As t2 decomposes, its check included.
void decompose(benchmark::State& state, t2::svd_method method) {
  const auto w = matrix(state);
  t2::svd_quality quality;
  for (auto _ : state) {
    const auto found = t2::decompose_checked(w, method);
    if (!found || found->method != method) {
      state.SkipWithError("the method did not pass its check");
      return;
    }
    quality = found->quality;
  }
  report(state, quality);
}

/// at::linalg_svd alone, unchecked.
void linalg_svd(benchmark::State& state) {
  const auto w = matrix(state);
  t2::svd_factors factors;
  for (auto _ : state) {
    auto [u, s, vh] = at::linalg_svd(w, false);
    factors = {u, s, vh.t()};
  }
  report(state, t2::measure_svd(w, factors));
}

/// Eight weights side by side, as svd_cache::fill does; time per weight.
void side_by_side(benchmark::State& state) {
  const auto w = matrix(state);
  constexpr std::int64_t count = 8;
  for (auto _ : state)
    at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = begin; i < end; ++i)
        benchmark::DoNotOptimize(t2::decompose_checked(w));
    });
  state.counters["seconds_per_weight"] = benchmark::Counter(
      static_cast<double>(count),
      benchmark::Counter::kIsIterationInvariantRate |
          benchmark::Counter::kInvert);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"m", "n", "spectrum"})->Unit(benchmark::kMillisecond);
  bench->UseRealTime();
  for (const auto kind : {flat, steep})
    for (const auto& [m, n] : {std::pair{576, 576}, {192, 576}, {1536, 576},
                               {576, 1536}})
      bench->Args({m, n, kind});
}

BENCHMARK_CAPTURE(decompose, gram64, t2::svd_method::gram64)->Apply(shapes);
BENCHMARK(linalg_svd)->Apply(shapes);
BENCHMARK(side_by_side)->Apply(shapes);
BENCHMARK_CAPTURE(decompose, gesdd64, t2::svd_method::gesdd64)->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();
