#pragma once

#include <c10/util/BFloat16.h>

#include <cmath>
#include <cstdint>
#include <cstring>

/// Sixteen floats at a time. A kernel is a struct with a static template
///
///   struct scale {
///     template <class V, class X>
///     static T2_INLINE void run(X* p, float by, std::int64_t n) {
///       for (std::int64_t i = 0; i < n; i += simd::lanes)
///         simd::store(p + i, simd::load<V>(p + i) * by);
///     }
///   };
///
/// and is called as `simd::run<scale>(p, by, n)`: it is compiled for AVX-512,
/// AVX2 and the baseline, each with its own V, and the processor's best is
/// called. All that `run` calls from here is inlined into it and compiled with
/// it. An OpenMP region inside would not be: keep the region outside.
#define T2_INLINE inline __attribute__((always_inline))

// Vectors wider than the baseline's registers are passed between functions
// that are always inlined: what the warning fears cannot happen.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

namespace t2::simd {

constexpr std::int64_t lanes = 16;

/// Sixteen values as `16 / W` registers of W. The compiler keeps a register
/// wider than the processor's in memory, element by element, so that each
/// instruction set has its own W.
template <class T, int W>
struct pack {
  typedef T part __attribute__((vector_size(W * sizeof(T)), may_alias));
  static constexpr int width = W;
  static constexpr int parts = lanes / W;

  part at[parts];

  T2_INLINE T operator[](std::int64_t i) const { return at[i / W][i % W]; }
};

template <int W>
using f16 = pack<float, W>;

/// f(j) for each part, unrolled.
template <class P, class F>
T2_INLINE P each_part(F&& f) {
  P out;
#pragma GCC unroll 16
  for (int j = 0; j < P::parts; ++j) out.at[j] = f(j);
  return out;
}

#define T2_OPERATOR(op)                                                       \
  template <class T, int W>                                                   \
  T2_INLINE pack<T, W> operator op(const pack<T, W>& a, const pack<T, W>& b) { \
    return each_part<pack<T, W>>([&](int j)                                   \
        T2_LAMBDA { return a.at[j] op b.at[j]; });                            \
  }                                                                           \
  template <class T, int W>                                                   \
  T2_INLINE pack<T, W> operator op(const pack<T, W>& a, T b) {                \
    return each_part<pack<T, W>>([&](int j)                                   \
        T2_LAMBDA { return a.at[j] op b; });                                  \
  }                                                                           \
  template <class T, int W>                                                   \
  T2_INLINE pack<T, W> operator op(T a, const pack<T, W>& b) {                \
    return each_part<pack<T, W>>([&](int j)                                   \
        T2_LAMBDA { return a op b.at[j]; });                                  \
  }
#define T2_LAMBDA __attribute__((always_inline))
T2_OPERATOR(+)
T2_OPERATOR(-)
T2_OPERATOR(*)
T2_OPERATOR(/)
#undef T2_OPERATOR

template <class T, int W>
T2_INLINE pack<T, W> operator-(const pack<T, W>& a) {
  return each_part<pack<T, W>>([&](int j) T2_LAMBDA { return -a.at[j]; });
}
template <class T, int W, class B>
T2_INLINE pack<T, W>& operator+=(pack<T, W>& a, const B& b) {
  return a = a + b;
}
template <class T, int W, class B>
T2_INLINE pack<T, W>& operator*=(pack<T, W>& a, const B& b) {
  return a = a * b;
}

template <class V>
T2_INLINE V splat(float x) {
  return each_part<V>([&](int) T2_LAMBDA { return typename V::part{} + x; });
}

template <class V>
T2_INLINE V load(const float* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class V>
T2_INLINE V load(const c10::BFloat16* p) {
  using half = pack<std::uint16_t, V::width>;
  using wide = pack<std::uint32_t, V::width>;
  return each_part<V>([&](int j) T2_LAMBDA {
    typename half::part h;
    std::memcpy(&h, p + j * V::width, sizeof h);
    const typename wide::part bits =
        __builtin_convertvector(h, typename wide::part) << 16;
    typename V::part out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
  });
}

template <int W>
T2_INLINE void store(float* p, const f16<W>& v) {
  std::memcpy(p, &v, sizeof v);
}

/// Rounds to nearest, ties to even; a NaN stays a NaN for the quiet ones that
/// arithmetic makes.
template <int W>
T2_INLINE void store(c10::BFloat16* p, const f16<W>& v) {
  using half = pack<std::uint16_t, W>;
  using wide = pack<std::uint32_t, W>;
#pragma GCC unroll 16
  for (int j = 0; j < wide::parts; ++j) {
    typename wide::part bits;
    std::memcpy(&bits, &v.at[j], sizeof bits);
    bits += 0x7fff + ((bits >> 16) & 1);
    const typename half::part h =
        __builtin_convertvector(bits >> 16, typename half::part);
    std::memcpy(p + j * W, &h, sizeof h);
  }
}

/// The first `count` of sixteen; the others are zero, and are not written.
template <class V>
T2_INLINE V load_some(const float* p, std::int64_t count) {
  if (count == lanes) return load<V>(p);
  float all[lanes] = {};
  std::memcpy(all, p, sizeof(float) * static_cast<std::size_t>(count));
  return load<V>(all);
}
template <class X, int W>
T2_INLINE void store_some(X* p, const f16<W>& v, std::int64_t count) {
  if (count == lanes) return store(p, v);
  X all[lanes];
  store(all, v);
  std::memcpy(static_cast<void*>(p), all,
              sizeof(X) * static_cast<std::size_t>(count));
}

/// The lanes' sum from the first to the last, whatever the width.
template <int W>
T2_INLINE float sum(const f16<W>& v) {
  float total = 0;
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) total += v[i];
  return total;
}

template <int W>
T2_INLINE float largest(const f16<W>& v) {
  float most = v[0];
#pragma GCC unroll 16
  for (int i = 1; i < lanes; ++i) most = v[i] > most ? v[i] : most;
  return most;
}

/// In each lane `yes` where a < b, else `no`.
template <int W>
T2_INLINE f16<W> where_less(const f16<W>& a, const f16<W>& b,
                            const f16<W>& yes, const f16<W>& no) {
  return each_part<f16<W>>([&](int j) T2_LAMBDA {
    return a.at[j] < b.at[j] ? yes.at[j] : no.at[j];
  });
}

template <int W>
T2_INLINE f16<W> maximum(const f16<W>& a, const f16<W>& b) {
  return where_less(b, a, a, b);
}
template <int W>
T2_INLINE f16<W> minimum(const f16<W>& a, const f16<W>& b) {
  return where_less(a, b, a, b);
}

template <int W>
T2_INLINE f16<W> root(const f16<W>& v) {
  return each_part<f16<W>>([&](int j) T2_LAMBDA {
    typename f16<W>::part out;
    for (int i = 0; i < W; ++i) out[i] = std::sqrt(v.at[j][i]);
    return out;
  });
}

/// e^x within 2 ulp on [-87, 88], clamped outside (Cephes' polynomial).
template <int W>
T2_INLINE f16<W> exponential(f16<W> x) {
  using V = f16<W>;
  x = minimum(maximum(x, splat<V>(-87.3365f)), splat<V>(88.3762f));
  const V scaled = x * 1.44269504088896341f;
  // Adding 1.5·2^23 rounds to the nearest integer.
  const V shifted = scaled + 12582912.f;
  const V n = shifted - 12582912.f;
  V r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  V p = splat<V>(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.f;
  return each_part<V>([&](int j) T2_LAMBDA {
    using integers = typename pack<std::int32_t, W>::part;
    const integers exponent =
        (__builtin_convertvector(n.at[j], integers) + 127) << 23;
    typename V::part power;
    std::memcpy(&power, &exponent, sizeof power);
    return p.at[j] * power;
  });
}

T2_INLINE float to_float(float x) { return x; }
T2_INLINE float to_float(c10::BFloat16 x) { return static_cast<float>(x); }

// --- one kernel, several instruction sets ----------------------------------

#if defined(__x86_64__)
template <class Kernel, class... A>
__attribute__((target("arch=x86-64-v4"))) auto run_avx512(A&&... a) {
  return Kernel::template run<f16<16>>(a...);
}
template <class Kernel, class... A>
__attribute__((target("arch=x86-64-v3"))) auto run_avx2(A&&... a) {
  return Kernel::template run<f16<8>>(a...);
}
#endif
template <class Kernel, class... A>
auto run_baseline(A&&... a) {
  return Kernel::template run<f16<4>>(a...);
}

/// Floats in a register of this processor that kernels are compiled for: 16, 8
/// or 4.
int register_width();

/// Kernel::run with the widest registers that the processor has.
template <class Kernel, class... A>
T2_INLINE auto run(A&&... a) {
#if defined(__x86_64__)
  switch (register_width()) {
    case 16: return run_avx512<Kernel>(a...);
    case 8: return run_avx2<Kernel>(a...);
    default: break;
  }
#endif
  return run_baseline<Kernel>(a...);
}

#undef T2_LAMBDA

}  // namespace t2::simd
