// Plans, decode steps, prefill, decomposition of a mixture, and the scoring
// stream of a search, on the model, device and type that bench/bench_model.hpp
// says. JSON:
//   engine_bench --benchmark_format=json
// `peak_mb` is the device's for the benchmark, the process's so far on the CPU.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "bench/bench_model.hpp"
#include "engine/engine.hpp"
#include "model/language_model.hpp"
#include "model/sampling.hpp"
#include "model/transformer.hpp"
#include "tests/model/kv_rows.hpp"

namespace {

using namespace t2;

using bench::model, bench::random_delta;

/// True where the time limit has passed: nothing is measured then.
bool skipped(benchmark::State& state) {
  if (!bench::time_is_left()) {
    state.SkipWithError("the time limit has passed");
    return true;
  }
  bench::forget_peak_memory();
  return false;
}

/// Runs one step of `rows` decoding rows, each after 64 tokens of prompt.
class decode_step {
 public:
  decode_step(std::int64_t rows, const std::vector<delta_ref>& deltas,
              bool truncate = false)
      : kv_(model()->network(), 129, rows) {
    packed_step prompt;
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto& delta =
          deltas[static_cast<std::size_t>(r) * deltas.size() /
                 static_cast<std::size_t>(rows)];
      prompt.spans.push_back(kv_.span(64 * r, 64 * r + 64, 0, r));
      prompt.deltas.push_back(delta);
      for (int t = 0; t < 64; ++t)
        prompt.tokens.push_back(static_cast<token_id>((31 * r + 7 * t) % 500));
      prompt.logit_rows.push_back(64 * r + 63);
      step_.tokens.push_back(5);
      step_.spans.push_back(kv_.span(r, r + 1, 64, r));
      step_.deltas.push_back(delta);
      step_.logit_rows.push_back(r);
    }
    (void)*model()->network().forward(prompt, kv_.store());
    step_.may_truncate = truncate;
  }

  void run(std::int64_t position) {
    for (auto& span : step_.spans) span.position = 64 + position % 64;
    const auto hidden = *model()->network().forward(step_, kv_.store());
    benchmark::DoNotOptimize(model()->network().logits(hidden));
  }

 private:
  kv_rows kv_;
  packed_step step_;
};

void count_rows(benchmark::State& state, std::int64_t rows) {
  state.counters["tokens_per_second"] = benchmark::Counter(
      static_cast<double>(rows * state.iterations()), benchmark::Counter::kIsRate);
  state.counters["peak_mb"] = bench::peak_memory();
}

void decode(benchmark::State& state) {
  if (skipped(state)) return;
  decode_step step{state.range(0), {nullptr}};
  std::int64_t position = 0;
  for (auto _ : state) step.run(position++);
  count_rows(state, state.range(0));
}
BENCHMARK(decode)->ArgName("rows")->Arg(1)->Arg(8)->Arg(32)->UseRealTime()->Unit(
    benchmark::kMillisecond);

svf_targets targets_of(std::int64_t number) {
  return number == 0   ? svf_targets::attention
         : number == 1 ? svf_targets::mlp
                       : svf_targets::all;
}

/// 32 rows over some mixtures under one plan.
void decode_mixtures(benchmark::State& state) {
  if (skipped(state)) return;
  const auto plan = static_cast<linear_plan>(state.range(0));
  const auto targets = targets_of(state.range(2));
  std::vector<delta_ref> deltas;
  for (std::int64_t i = 0; i < state.range(1); ++i)
    deltas.push_back(random_delta(static_cast<std::uint64_t>(i), targets));
  auto& net = model()->network();
  if (plan == linear_plan::dense) {
    if (auto ok = net.warm(deltas.front()); !ok)
      return state.SkipWithError(ok.error().message.c_str());
    net.force_plan({});
  } else {
    net.force_plan(plan);
  }
  decode_step step{32, deltas};
  std::int64_t position = 0;
  for (auto _ : state) step.run(position++);
  net.force_plan({});
  count_rows(state, 32);
  state.SetLabel(std::string{to_string(plan)} + ", " +
                 std::string{to_string(targets)});
}
BENCHMARK(decode_mixtures)
    ->ArgNames({"plan", "mixtures", "targets"})
    ->Args({1, 1, 1})
    ->Args({1, 1, 2})
    ->Args({2, 8, 1})
    ->Args({3, 8, 1})
    ->Args({2, 8, 2})
    ->Args({3, 8, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// The truncated delta plan: 32 rows over 8 mixtures, `rank` directions each.
void decode_truncated(benchmark::State& state) {
  if (skipped(state)) return;
  std::vector<delta_ref> deltas;
  for (std::uint64_t i = 0; i < 8; ++i)
    deltas.push_back(random_delta(i, svf_targets::all));
  auto& net = model()->network();
  net.force_plan(linear_plan::delta);
  net.set_delta_rank(state.range(0));
  decode_step step{32, deltas, true};
  std::int64_t position = 0;
  for (auto _ : state) step.run(position++);
  net.force_plan({});
  net.set_delta_rank(0);
  count_rows(state, 32);
}
BENCHMARK(decode_truncated)
    ->ArgName("rank")
    ->Arg(36)
    ->Arg(72)
    ->Arg(144)
    ->Arg(288)
    ->Arg(0)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void prefill(benchmark::State& state) {
  if (skipped(state)) return;
  kv_rows kv{model()->network(), state.range(0)};
  packed_step step;
  for (std::int64_t t = 0; t < state.range(0); ++t)
    step.tokens.push_back(static_cast<token_id>((7 * t) % 500));
  step.spans = {kv.span(0, state.range(0))};
  step.deltas = {nullptr};
  step.logit_rows = {state.range(0) - 1};
  for (auto _ : state) {
    benchmark::DoNotOptimize(*model()->network().forward(step, kv.store()));
    bench::wait();
  }
  count_rows(state, state.range(0));
}
BENCHMARK(prefill)->ArgName("tokens")->Arg(64)->Arg(512)->UseRealTime()->Unit(
    benchmark::kMillisecond);

/// W' of all adapted projections of a mixture.
void build_dense(benchmark::State& state) {
  if (skipped(state)) return;
  const auto targets = targets_of(state.range(0));
  (void)model()->network().load_factors(
      svf_layout{model()->config(), targets});
  std::uint64_t seed = 1000;
  for (auto _ : state) {
    model()->network().set_dense_budget(std::int64_t{4} << 30);
    (void)model()->network().warm(random_delta(seed++, targets));
    bench::wait();
  }
  state.counters["peak_mb"] = bench::peak_memory();
}
BENCHMARK(build_dense)->ArgName("targets")->Arg(1)->Arg(2)->UseRealTime()->Unit(
    benchmark::kMillisecond);

/// One iteration of a search: 32 candidates × 5 shots of 48 tokens, answers of
/// 16, teacher-forced.
void search_iteration(benchmark::State& state) {
  if (skipped(state)) return;
  const auto targets = targets_of(state.range(0));
  std::vector<scoring_row> rows;
  for (std::uint64_t c = 0; c < 32; ++c) {
    const auto delta = random_delta(c, targets);
    for (int shot = 0; shot < 5; ++shot) {
      scoring_row row{{}, 32, delta};
      for (int t = 0; t < 48; ++t)
        row.tokens.push_back((13 * shot + 7 * t) % 500);
      rows.push_back(row);
    }
  }
  engine e{model(), {}};
  for (auto _ : state) {
    (void)*e.score(rows, [](result<std::vector<row_score>> scores) {
      benchmark::DoNotOptimize(scores);
    });
    while (e.step()) {
    }
  }
  state.counters["evaluations_per_second"] =
      benchmark::Counter(static_cast<double>(160 * state.iterations()),
                         benchmark::Counter::kIsRate);
}
BENCHMARK(search_iteration)
    ->ArgName("targets")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// The evaluations of an iteration of the authors' search: 32 candidates × 10
/// shots of 64 tokens, their answers of 32 tokens generated, or scored.
void cem_iteration(benchmark::State& state) {
  if (skipped(state)) return;
  const bool generate = state.range(0) != 0;
  engine e{model(), {.max_sequences = 320}};
  std::vector<scoring_row> rows;
  for (std::uint64_t c = 0; c < 32; ++c) {
    const auto delta = random_delta(c, svf_targets::mlp);
    for (int shot = 0; shot < 10; ++shot) {
      scoring_row row{{}, 64, delta};
      for (int t = 0; t < 96; ++t)
        row.tokens.push_back((13 * shot + 7 * t) % 500);
      rows.push_back(row);
    }
  }
  for (auto _ : state) {
    if (generate) {
      for (const scoring_row& row : rows)
        (void)*e.submit({.prompt = {row.tokens.begin(), row.tokens.begin() + 64},
                         .sampling = {.max_tokens = 32, .ignore_eos = true},
                         .delta = row.delta,
                         .urgency = priority::background});
    } else {
      (void)*e.score(rows, [](result<std::vector<row_score>> scores) {
        benchmark::DoNotOptimize(scores);
      });
    }
    while (e.step()) {
    }
  }
}
BENCHMARK(cem_iteration)
    ->ArgName("generate")
    ->Arg(0)
    ->Arg(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

std::vector<token_id> tokens_of(int seed, int count) {
  std::vector<token_id> out;
  for (int t = 0; t < count; ++t)
    out.push_back(static_cast<token_id>((131 * seed + 7 * t) % 500));
  return out;
}

// Pass 1 as the daemon does it: an instruction of 64 tokens that is in the
// cache, a query of 32, 5 of a chat template, four labels (one of two tokens).
constexpr int query_tokens = 32;

void pass_1(benchmark::State& state) {
  if (skipped(state)) return;
  engine e{model(), {}};
  const auto instruction = tokens_of(0, 64), after = tokens_of(1, 5);
  int query = 2;
  const auto classify = [&] {
    for (std::int64_t q = 0; q < state.range(0); ++q) {
      auto asked = instruction;
      for (const auto& part : {tokens_of(query++, query_tokens), after})
        asked.insert(asked.end(), part.begin(), part.end());
      std::vector<scoring_row> rows;
      for (token_id label = 0; label < 4; ++label) {
        rows.push_back({asked, asked.size(), nullptr});
        rows.back().tokens.push_back(300 + label);
      }
      rows.back().tokens.push_back(310);
      (void)*e.score(rows,
                     [](auto scores) { benchmark::DoNotOptimize(scores); },
                     priority::live, instruction.size());
    }
    while (e.step()) {
    }
  };
  classify();  // the instruction
  for (auto _ : state) classify();
}
BENCHMARK(pass_1)->ArgName("queries")->Arg(1)->Arg(8)->UseRealTime()->Unit(
    benchmark::kMillisecond);

/// Those queries read up to their next token, nothing before them.
void query_prefill(benchmark::State& state) {
  if (skipped(state)) return;
  engine e{model(), {}};
  int query = 2;
  for (auto _ : state) {
    for (std::int64_t q = 0; q < state.range(0); ++q)
      (void)*e.submit({.prompt = tokens_of(query++, query_tokens),
                       .sampling = {.max_tokens = 1, .ignore_eos = true}});
    while (e.step()) {
    }
  }
}
BENCHMARK(query_prefill)
    ->ArgName("queries")
    ->Arg(1)
    ->Arg(8)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// Pass 2: 64 tokens after 64.
void answer_64(benchmark::State& state) {
  if (skipped(state)) return;
  engine e{model(), {}};
  const auto delta = random_delta(1, svf_targets::mlp);
  if (auto ok = model()->network().warm(delta); !ok)
    return state.SkipWithError(ok.error().message.c_str());
  for (auto _ : state) {
    for (int r = 0; r < state.range(0); ++r)
      (void)*e.submit({.prompt = tokens_of(r, 64),
                       .sampling = {.max_tokens = 64, .ignore_eos = true},
                       .delta = delta});
    while (e.step()) {
    }
  }
}
BENCHMARK(answer_64)->ArgName("rows")->Arg(1)->Arg(8)->UseRealTime()->Unit(
    benchmark::kMillisecond);

/// One token drawn from 49,152 logits of standard deviation 3; top_p and the
/// temperature in hundredths, 0: greedy.
void draw_token(benchmark::State& state) {
  at::manual_seed(1);
  const auto random = at::randn({49152}) * 3;
  const std::vector<float> logits(random.data_ptr<float>(),
                                  random.data_ptr<float>() + random.numel());
  std::vector<float> scratch;
  const sampling_options options{
      .temperature = static_cast<float>(state.range(0)) / 100.f,
      .top_p = static_cast<float>(state.range(1)) / 100.f};
  std::int64_t position = 0;
  for (auto _ : state) {
    scratch = logits;
    benchmark::DoNotOptimize(
        *sample_token(scratch, {}, options, 0, position++));
  }
}
BENCHMARK(draw_token)
    ->ArgNames({"temperature", "top_p"})
    ->Args({0, 100})
    ->Args({80, 100})
    ->Args({80, 95})
    ->Unit(benchmark::kMicrosecond);

/// Decomposition of all projections of one layer, the cache aside.
void decompose_layer(benchmark::State& state) {
  if (skipped(state)) return;
  const svf_layout layout{model()->config(), svf_targets::all};
  for (auto _ : state)
    for (const auto& p : layout.projections()) {
      if (p.layer > 0) break;
      const std::vector<std::int64_t> shape{p.out_features, p.in_features};
      const auto w = model()->weights().tensor(p.weight, shape);
      benchmark::DoNotOptimize(*decompose(*w));
    }
}
BENCHMARK(decompose_layer)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
