#pragma once

#include "model/kernels.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// Cosines and sines of positions [0, positions), in float32 as transformers
/// computes them, [positions, rotated dims / 2]. `which`: 0 with the config's
/// base and scaling, 1 with the windowed layers' base.
kernels::rotary_table make_rotary_table(const model_config& config,
                                        std::int64_t positions, int which = 0);

}  // namespace t2
