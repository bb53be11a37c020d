#pragma once

#include <vector>

#include "model/linear_weight.hpp"
#include "model/singular_delta.hpp"

namespace t2 {

/// What a step of training runs under, and its samples with it.
struct adapted_weights {
  /// W' of each linear of the transformer; undefined where it is the base's.
  std::vector<linear_weight> linears;
  /// What looked-up rows run under; null: the base.
  delta_ref embedding;
};

}  // namespace t2
