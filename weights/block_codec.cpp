#include "weights/block_codec.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

// The layouts are those of ggml-common.h, the arithmetic that of
// dequantize_row_* in ggml-quants.c.

namespace t2 {
namespace {

std::uint8_t byte_at(const std::byte* p, std::size_t i) {
  return static_cast<std::uint8_t>(p[i]);
}

std::uint16_t word_at(const std::byte* p) {
  return static_cast<std::uint16_t>(byte_at(p, 0) | byte_at(p, 1) << 8);
}

std::uint32_t double_word_at(const std::byte* p) {
  return static_cast<std::uint32_t>(word_at(p)) |
         static_cast<std::uint32_t>(word_at(p + 2)) << 16;
}

float half_at(const std::byte* p) {
  const std::uint32_t half = word_at(p);
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1fu, fraction = half & 0x3ffu;
  if (exponent == 0) {  // zero or below the smallest normal number
    const float tiny = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -tiny : tiny;
  }
  const std::uint32_t widened = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

/// Runs `block(bytes, values)` for each block of Size values in Bytes bytes.
template <std::size_t Size, std::size_t Bytes, class F>
void each_block(std::span<const std::byte> bytes, std::span<float> values,
                F&& block) {
  for (std::size_t i = 0; i * Size < values.size(); ++i)
    block(bytes.data() + i * Bytes, values.data() + i * Size);
}

/// 16 bytes of two values each: the low halves come first.
template <class F>
void nibbles(const std::byte* packed, float* out, F&& value) {
  for (std::size_t i = 0; i < 16; ++i) {
    out[i] = value(byte_at(packed, i) & 0xf, i);
    out[i + 16] = value(byte_at(packed, i) >> 4, i + 16);
  }
}

void q4_0(const std::byte* p, float* out) {
  const float d = half_at(p);
  nibbles(p + 2, out, [&](int q, std::size_t) {
    return d * static_cast<float>(q - 8);
  });
}

void q4_1(const std::byte* p, float* out) {
  const float d = half_at(p), m = half_at(p + 2);
  nibbles(p + 4, out, [&](int q, std::size_t) {
    return d * static_cast<float>(q) + m;
  });
}

int fifth_bit(std::uint32_t high, std::size_t i) {
  return static_cast<int>(high >> i & 1u) << 4;
}

void q5_0(const std::byte* p, float* out) {
  const float d = half_at(p);
  const auto high = double_word_at(p + 2);
  nibbles(p + 6, out, [&](int q, std::size_t i) {
    return d * static_cast<float>((q | fifth_bit(high, i)) - 16);
  });
}

void q5_1(const std::byte* p, float* out) {
  const float d = half_at(p), m = half_at(p + 2);
  const auto high = double_word_at(p + 4);
  nibbles(p + 8, out, [&](int q, std::size_t i) {
    return d * static_cast<float>(q | fifth_bit(high, i)) + m;
  });
}

void q8_0(const std::byte* p, float* out) {
  const float d = half_at(p);
  for (std::size_t i = 0; i < 32; ++i)
    out[i] = d * static_cast<float>(static_cast<std::int8_t>(p[2 + i]));
}

void iq4_nl(const std::byte* p, float* out) {
  constexpr std::array<float, 16> levels{-127, -104, -83, -65, -49, -35,
                                         -22,  -10,  1,   13,  25,  38,
                                         53,   69,   89,  113};
  const float d = half_at(p);
  nibbles(p + 2, out, [&](int q, std::size_t) {
    return d * levels[static_cast<std::size_t>(q)];
  });
}

// The K types: 256 values in groups of 16 or 32, whose small scales are
// multiples of the block's.

void q2_k(const std::byte* p, float* out) {
  const std::byte *scales = p, *quants = p + 16;
  const float d = half_at(p + 80), d_min = half_at(p + 82);
  std::size_t group = 0;
  for (std::size_t half = 0; half < 2; ++half, quants += 32)
    for (int shift = 0; shift < 8; shift += 2)
      for (std::size_t side = 0; side < 2; ++side, ++group) {
        const int packed = byte_at(scales, group);
        const float scale = d * static_cast<float>(packed & 0xf);
        const float least = d_min * static_cast<float>(packed >> 4);
        for (std::size_t i = 0; i < 16; ++i)
          *out++ = scale * static_cast<float>(
                               byte_at(quants, side * 16 + i) >> shift & 3) -
                   least;
      }
}

void q3_k(const std::byte* p, float* out) {
  const std::byte *high = p, *quants = p + 32, *scales = p + 96;
  const float d = half_at(p + 108);
  std::size_t group = 0;
  for (std::size_t half = 0; half < 2; ++half, quants += 32)
    for (std::size_t step = 0; step < 4; ++step)
      for (std::size_t side = 0; side < 2; ++side, ++group) {
        const int low = group < 8 ? byte_at(scales, group) & 0xf
                                  : byte_at(scales, group - 8) >> 4;
        const int top = byte_at(scales, 8 + group % 4) >> 2 * (group / 4) & 3;
        const float scale = d * static_cast<float>((low | top << 4) - 32);
        for (std::size_t i = 0; i < 16; ++i) {
          const auto at = side * 16 + i;
          const int q = byte_at(quants, at) >> 2 * step & 3;
          const bool set = byte_at(high, at) >> (half * 4 + step) & 1;
          *out++ = scale * static_cast<float>(set ? q : q - 4);
        }
      }
}

/// Scale and minimum of group j of 8, six bits each, in 12 bytes (Q4_K, Q5_K).
struct scale_and_least {
  int scale, least;
};
scale_and_least group_of(const std::byte* packed, std::size_t j) {
  if (j < 4) return {byte_at(packed, j) & 63, byte_at(packed, j + 4) & 63};
  return {(byte_at(packed, j + 4) & 0xf) | byte_at(packed, j - 4) >> 6 << 4,
          byte_at(packed, j + 4) >> 4 | byte_at(packed, j) >> 6 << 4};
}

/// Q4_K (no `high`) and Q5_K.
void q45_k(const std::byte* p, const std::byte* high, const std::byte* quants,
           float* out) {
  const float d = half_at(p), d_min = half_at(p + 2);
  for (std::size_t group = 0; group < 8; ++group) {
    const auto [scale, least] = group_of(p + 4, group);
    const float by = d * static_cast<float>(scale);
    const float less = d_min * static_cast<float>(least);
    const std::byte* packed = quants + group / 2 * 32;
    for (std::size_t i = 0; i < 32; ++i) {
      int q = group % 2 ? byte_at(packed, i) >> 4 : byte_at(packed, i) & 0xf;
      if (high) q |= (byte_at(high, i) >> group & 1) << 4;
      *out++ = by * static_cast<float>(q) - less;
    }
  }
}

void q6_k(const std::byte* p, float* out) {
  const std::byte *low = p, *high = p + 128, *scales = p + 192;
  const float d = half_at(p + 208);
  for (std::size_t half = 0; half < 2; ++half, low += 64, high += 32)
    for (std::size_t quarter = 0; quarter < 4; ++quarter)
      for (std::size_t i = 0; i < 32; ++i) {
        const int packed = byte_at(low, quarter % 2 * 32 + i);
        const int bits = quarter < 2 ? packed & 0xf : packed >> 4;
        const int top = byte_at(high, i) >> 2 * quarter & 3;
        const auto group = half * 8 + quarter * 2 + i / 16;
        const auto scale = static_cast<std::int8_t>(scales[group]);
        *out++ = d * static_cast<float>(scale) *
                 static_cast<float>((bits | top << 4) - 32);
      }
}

}  // namespace

void decode_blocks(tensor_encoding encoding, std::span<const std::byte> bytes,
                   std::span<float> values) {
  switch (encoding) {
    case tensor_encoding::f32:
      std::memcpy(values.data(), bytes.data(), values.size_bytes());
      return;
    case tensor_encoding::f16:
      return each_block<1, 2>(bytes, values, [](const std::byte* p, float* out) {
        *out = half_at(p);
      });
    case tensor_encoding::bf16:
      return each_block<1, 2>(bytes, values, [](const std::byte* p, float* out) {
        *out = std::bit_cast<float>(static_cast<std::uint32_t>(word_at(p)) << 16);
      });
    case tensor_encoding::q4_0: return each_block<32, 18>(bytes, values, q4_0);
    case tensor_encoding::q4_1: return each_block<32, 20>(bytes, values, q4_1);
    case tensor_encoding::q5_0: return each_block<32, 22>(bytes, values, q5_0);
    case tensor_encoding::q5_1: return each_block<32, 24>(bytes, values, q5_1);
    case tensor_encoding::q8_0: return each_block<32, 34>(bytes, values, q8_0);
    case tensor_encoding::iq4_nl:
      return each_block<32, 18>(bytes, values, iq4_nl);
    case tensor_encoding::q2_k: return each_block<256, 84>(bytes, values, q2_k);
    case tensor_encoding::q3_k: return each_block<256, 110>(bytes, values, q3_k);
    case tensor_encoding::q4_k:
      return each_block<256, 144>(bytes, values, [](const std::byte* p, float* out) {
        q45_k(p, nullptr, p + 16, out);
      });
    case tensor_encoding::q5_k:
      return each_block<256, 176>(bytes, values, [](const std::byte* p, float* out) {
        q45_k(p, p + 16, p + 48, out);
      });
    case tensor_encoding::q6_k: return each_block<256, 210>(bytes, values, q6_k);
    case tensor_encoding::f64:
    case tensor_encoding::i8:
    case tensor_encoding::i16:
    case tensor_encoding::i32:
    case tensor_encoding::i64: return;
  }
}

}  // namespace t2
