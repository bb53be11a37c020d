#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <cstring>

/// Sixteen floats at a time through the compiler's vector extension, which it
/// lowers to what the target has. A function marked T2_CLONES is compiled for
/// AVX-512, AVX2 and the baseline, and the loader picks one; all that it calls
/// from here is inlined into it and compiled with it. An OpenMP region inside
/// such a function would not be cloned: keep the region outside.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define T2_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define T2_CLONES
#endif

#define T2_INLINE inline __attribute__((always_inline))

namespace t2::simd {

constexpr std::int64_t lanes = 16;

using f16 = float __attribute__((vector_size(64), may_alias));
using i16 = std::int32_t __attribute__((vector_size(64), may_alias));
using u16 = std::uint32_t __attribute__((vector_size(64), may_alias));
using h16 = std::uint16_t __attribute__((vector_size(32), may_alias));

T2_INLINE f16 splat(float x) { return f16{} + x; }

T2_INLINE f16 load(const float* p) {
  f16 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

T2_INLINE f16 load(const c10::BFloat16* p) {
  h16 half;
  std::memcpy(&half, p, sizeof half);
  const u16 wide = __builtin_convertvector(half, u16) << 16;
  f16 v;
  std::memcpy(&v, &wide, sizeof v);
  return v;
}

T2_INLINE void store(float* p, f16 v) { std::memcpy(p, &v, sizeof v); }

/// Rounds to nearest, ties to even; a NaN stays a NaN for the quiet ones that
/// arithmetic makes.
T2_INLINE void store(c10::BFloat16* p, f16 v) {
  u16 bits;
  std::memcpy(&bits, &v, sizeof bits);
  bits += 0x7fff + ((bits >> 16) & 1);
  const h16 half = __builtin_convertvector(bits >> 16, h16);
  std::memcpy(p, &half, sizeof half);
}

T2_INLINE float sum(f16 v) {
  float total = 0;
  for (int i = 0; i < lanes; ++i) total += v[i];
  return total;
}

T2_INLINE f16 maximum(f16 a, f16 b) { return a > b ? a : b; }
T2_INLINE f16 minimum(f16 a, f16 b) { return a < b ? a : b; }

/// e^x within 2 ulp on [-87, 88], clamped outside (Cephes' polynomial).
T2_INLINE f16 exponential(f16 x) {
  x = minimum(maximum(x, splat(-87.3365f)), splat(88.3762f));
  const f16 scaled = x * 1.44269504088896341f;
  // Adding 1.5·2^23 rounds to the nearest integer.
  const f16 shifted = scaled + 12582912.f;
  const f16 n = shifted - 12582912.f;
  f16 r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  f16 p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.f;
  const i16 exponent = (__builtin_convertvector(n, i16) + 127) << 23;
  f16 power;
  std::memcpy(&power, &exponent, sizeof power);
  return p * power;
}

T2_INLINE float to_float(float x) { return x; }
T2_INLINE float to_float(c10::BFloat16 x) { return static_cast<float>(x); }

}  // namespace t2::simd
