#pragma once

#include <memory>

#include "model/language_model.hpp"
#include "model/singular_delta.hpp"

/// The model that engine_bench and training_bench measure.
///   T2_BENCH_MODEL   its folder (random_model makes one)
///   T2_BENCH_DEVICE  cpu (default), cuda, cuda:N
///   T2_BENCH_DTYPE   bfloat16 (default) or float32
///   T2_BENCH_SVD     the folder of SVD caches; `random`: factors are drawn
///                    instead, one for each shape, which costs nothing: the
///                    speed of a plan does not depend on what they hold
///   T2_BENCH_LIMIT   seconds after which no further benchmark begins
namespace t2::bench {

/// Loaded once; a model that does not load ends the process.
const std::shared_ptr<language_model>& model();

/// d of random z around 1; its factors are loaded.
delta_ref random_delta(std::uint64_t seed, svf_targets targets);

/// Waits for what was asked of the device; for the CPU there is nothing.
void wait();

/// MiB: of the device's memory, since the last forget_peak_memory(); of the
/// process on the CPU, since it began.
double peak_memory();
void forget_peak_memory();

/// False when T2_BENCH_LIMIT has passed.
bool time_is_left();

}  // namespace t2::bench
