#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace t2 {

/// How a file writes the values of a tensor: plain numbers, or blocks of
/// neighbouring values of a row that share a scale (GGUF's quantised types).
enum class tensor_encoding : std::uint8_t {
  f32, f16, bf16, f64,
  i8, i16, i32, i64,
  q4_0, q4_1, q5_0, q5_1, q8_0,
  q2_k, q3_k, q4_k, q5_k, q6_k,
  iq4_nl,
};

struct encoding_traits {
  std::string_view name;         // "Q4_K"
  std::int64_t block = 1;        // values of a block, all of one row
  std::int64_t block_bytes = 0;
  /// Weights can have it: decode() reads it.
  bool weights = false;
};
const encoding_traits& traits(tensor_encoding encoding);

/// By the number that a GGUF file gives it; nothing: t2 does not read it.
std::optional<tensor_encoding> gguf_encoding(std::uint32_t type);

/// "F32, F16, BF16, Q4_0, ...": what weights can have.
std::string_view known_weight_encodings();

}  // namespace t2
