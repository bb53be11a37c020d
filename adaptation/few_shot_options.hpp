#pragma once

#include <cstdint>
#include <string>

#include "adaptation/mixture.hpp"
#include "config/result.hpp"
#include "model/sampling.hpp"

namespace t2 {

struct few_shot_options {
  std::string optimiser = "cem";
  std::int64_t population = 32;
  double elite = 0.2;
  double sigma = 0.5;
  std::int64_t iterations = 10;
  bool per_projection = false;  // one α per expert and projection
  mixture_rule rule = mixture_rule::delta;
  std::int64_t tokens = 4'000'000;  // read and generated; 0: no limit
  double seconds = 600;             // 0: no limit
  std::int64_t folds = 0;           // 0: leave one out
  std::int64_t survivors = 4;       // candidates that meet the reward
  std::int64_t preselect = 4;       // experts searched at most; 0: all
  /// The mean held-out gain must exceed this many of its standard errors; 0 is
  /// the bare rule "positive". Measured with 5 shots on 200 made-up tasks that
  /// 3 experts help and harm by chance: 29 % are accepted at 0, 13 % at 1. With
  /// a trained and two shuffled experts on 10 tasks that the stories model
  /// wrote itself (which no mixture can do better): 1 at 1.
  double standard_errors = 1;
  std::uint64_t seed = 0;
  std::int64_t delta_bytes = std::int64_t{256} << 20;  // alive in one work
  sampling_options sampling{};  // of the answers that a reward reads

  result<void> validate() const;
};

}  // namespace t2
