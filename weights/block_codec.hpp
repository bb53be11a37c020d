#pragma once

#include <cstddef>
#include <span>

#include "weights/tensor_encoding.hpp"

namespace t2 {

/// The float32 values of whole blocks: `values` holds a multiple of the
/// encoding's block, `bytes` as many blocks. Each step is rounded to float32 as
/// ggml's reference does, so that a file means the same numbers everywhere.
/// An encoding that weights cannot have gives nothing: ask traits() first.
/// Any thread.
void decode_blocks(tensor_encoding encoding, std::span<const std::byte> bytes,
                   std::span<float> values);

}  // namespace t2
