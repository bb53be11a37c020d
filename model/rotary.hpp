#pragma once

#include "model/kernels.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// Cosines and sines of positions [0, positions), in float32 as transformers
/// computes them, with Llama 3's scaling where the config has it.
kernels::rotary_table make_rotary_table(const model_config& config,
                                        std::int64_t positions);

}  // namespace t2
