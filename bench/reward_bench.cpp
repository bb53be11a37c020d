// Rewards per second of the reward python: batches of 64 different programs,
// each in a sandbox of its own, by how many run at once.
//   reward_bench --benchmark_format=json
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "adaptation/reward.hpp"

namespace t2 {
namespace {

void python_rewards(benchmark::State& state) {
  const auto judge =
      make_reward("python", {.workers = state.range(0), .seconds = 60});
  example e;
  e.id = "sum";
  e.tests =
      "for n in range(50):\n"
      "    assert total(list(range(n))) == n * (n - 1) // 2\n";
  std::vector<std::string> answers;
  for (int i = 0; i < 64; ++i)
    answers.push_back("def total(xs):\n    return sum(xs)  # " +
                      std::to_string(i) + "\n");
  std::vector<judged_text> texts;
  for (const std::string& answer : answers) texts.push_back({answer, &e});
  for (auto _ : state) {
    for (const auto& value : (*judge)->of_texts(texts)) {
      if (!value || *value != 1) {
        state.SkipWithError(value ? "a wrong reward"
                                  : value.error().message.c_str());
        return;
      }
    }
  }
  state.counters["rewards"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * 64,
      benchmark::Counter::kIsRate);
}
BENCHMARK(python_rewards)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->Arg(8)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace t2

BENCHMARK_MAIN();
