// A policy-gradient step on the model, device and type that
// bench/bench_model.hpp says: W' of new parameters, greedy answers of 32
// tokens to 8 prompts of 64, forward and backward over them, without and with
// the divergence from the base. Rewards cost nothing: half the answers are
// right. JSON:
//   training_bench --benchmark_format=json
// `peak_mb` is the device's for the benchmark; on the CPU the process's so far:
// run one benchmark at a time for it (--benchmark_filter).
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "adaptation/reinforce_objective.hpp"
#include "adaptation/trainable_parameters.hpp"
#include "bench/bench_model.hpp"
#include "model/trainer_model.hpp"

namespace {

using namespace t2;

constexpr std::size_t prompts = 8;
constexpr std::int64_t prompt_tokens = 64;
constexpr std::int32_t answer_tokens = 32;

using bench::model;

template <class T>
T value(result<T> found) {
  if (!found) {
    std::fprintf(stderr, "training_bench: %s\n",
                 found.error().message.c_str());
    std::exit(1);
  }
  return *std::move(found);
}

double seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

enum class what : int { svf_mlp, svf_all, lora };

void step(benchmark::State& state) {
  if (!bench::time_is_left())
    return state.SkipWithError("the time limit has passed");
  bench::forget_peak_memory();
  const auto which = static_cast<what>(state.range(0));
  const double kl_weight = state.range(1) ? 0.2 : 0;
  training_options options;
  options.targets =
      which == what::svf_mlp ? svf_targets::mlp : svf_targets::all;
  if (which == what::lora) options.lora = lora_shape{};
  const auto parameters =
      make_trainable_parameters(model()->config(), options, 1);
  trainer_model trainer{model(), value(parameters->open(*model()))};
  auto p = parameters->initial();
  std::vector<rollout_request> requests;
  for (std::size_t r = 0; r < prompts; ++r) {
    std::vector<token_id> ids;
    for (std::int64_t t = 0; t < prompt_tokens; ++t)
      ids.push_back(static_cast<token_id>(
          (7919 * (static_cast<std::int64_t>(r) * prompt_tokens + t) + 31) %
          model()->config().vocabulary));
    requests.push_back({std::move(ids), r});
  }
  std::vector<double> rewards;
  for (std::size_t r = 0; r < prompts; ++r)
    rewards.push_back(r % 2 == 0 ? 1 : -1);

  double build = 0, answer = 0, learn = 0;
  for (auto _ : state) {
    const double begin = seconds();
    trainer.set(value(parameters->values(p)));
    bench::wait();
    const double built = seconds();
    auto batch = value(rollout_batch::make(
        *model(), requests,
        {.max_tokens = answer_tokens, .ignore_eos = true}));
    while (value(batch.advance(*model(), &trainer.linears().dense()))) {
    }
    const double answered = seconds();
    const auto gathered = reinforce_objective::learn_from(
        batch.rollouts(), rewards, 1, advantage_kind::none, kl_weight);
    const auto found = value(trainer.loss_and_gradient(gathered.rows, 512));
    const auto of_p = parameters->gradient(found.gradient, p);
    p = p - of_p * 1e-6;
    const double learned = seconds();
    build += built - begin;
    answer += answered - built;
    learn += learned - answered;
  }
  const auto mean = [&](double total) {
    return benchmark::Counter(total, benchmark::Counter::kAvgIterations);
  };
  state.counters["build_s"] = mean(build);
  state.counters["rollout_s"] = mean(answer);
  state.counters["forward_backward_s"] = mean(learn);
  state.counters["peak_mb"] = bench::peak_memory();
}

BENCHMARK(step)
    ->ArgNames({"svf_mlp0_all1_lora2", "kl"})
    ->ArgsProduct({{0, 1, 2}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime();

}  // namespace

BENCHMARK_MAIN();
