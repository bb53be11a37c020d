// The lanes' arithmetic at every register width that this processor has,
// against the standard library's one number at a time.
#include "model/simd.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace t2 {
namespace {

using floats = std::array<float, simd::lanes>;
using brains = std::array<c10::BFloat16, simd::lanes>;

/// Kernel::run at one width.
template <class Kernel, class... A>
void run_at(int width, A&&... a) {
#if defined(__x86_64__)
  if (width == 16) return simd::run_avx512<Kernel>(a...);
  if (width == 8) return simd::run_avx2<Kernel>(a...);
#endif
  simd::run_baseline<Kernel>(a...);
}

std::vector<int> widths() {
  std::vector<int> out;
  for (const int width : {4, 8, 16})
    if (width <= simd::register_width()) out.push_back(width);
  return out;
}

class at_width : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(simd, at_width, testing::ValuesIn(widths()),
                         [](const auto& one) {
                           return std::to_string(one.param);
                         });

floats random(unsigned seed, float low, float high) {
  std::mt19937 generator{seed};
  std::uniform_real_distribution<float> draw{low, high};
  floats out;
  for (float& x : out) x = draw(generator);
  return out;
}

struct exponentials {
  template <class V>
  static T2_INLINE void run(const floats& in, floats& out) {
    simd::store(out.data(), simd::exponential(simd::load<V>(in.data())));
  }
};

TEST_P(at_width, exponentials_are_within_two_ulp) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    const floats x = random(seed, -87, 88);
    floats y;
    run_at<exponentials>(GetParam(), x, y);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double right = std::exp(static_cast<double>(x[i]));
      const auto nearest = static_cast<float>(right);
      const double ulp = std::nextafter(nearest, HUGE_VALF) - nearest;
      EXPECT_LE(std::abs(static_cast<double>(y[i]) - right), 2 * ulp) << x[i];
    }
  }
}

TEST_P(at_width, exponentials_of_what_lies_outside_are_clamped) {
  floats x{};
  x[0] = -1e30f;
  x[1] = 1e30f;
  x[2] = -HUGE_VALF;
  x[15] = 0;
  floats y;
  run_at<exponentials>(GetParam(), x, y);
  EXPECT_GT(y[0], 0);
  EXPECT_LT(y[0], 2e-38f);
  EXPECT_TRUE(std::isfinite(y[1]));
  EXPECT_GT(y[1], 1e38f);
  EXPECT_EQ(y[2], y[0]);
  EXPECT_EQ(y[15], 1);
}

struct arithmetic {
  template <class V>
  static T2_INLINE void run(const floats& a, const floats& b, floats& out) {
    V x = simd::load<V>(a.data());
    const V y = simd::load<V>(b.data());
    x = (x - y) / y;
    x += 2.f;
    x *= y;
    simd::store(out.data(), 1.f - simd::root(-(0.f - x) * x) - y);
  }
};

TEST_P(at_width, arithmetic_is_that_of_each_lane) {
  const floats a = random(1, 0.5, 2), b = random(2, 0.5, 2);
  floats out;
  run_at<arithmetic>(GetParam(), a, b, out);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = ((a[i] - b[i]) / b[i] + 2.0) * b[i];
    EXPECT_NEAR(out[i], 1 - std::sqrt(x * x) - b[i], 2e-6) << i;
  }
}

struct order {
  template <class V>
  static T2_INLINE void run(const floats& a, const floats& b, floats& smaller,
                            floats& larger, floats& chosen, floats& total) {
    const V x = simd::load<V>(a.data()), y = simd::load<V>(b.data());
    simd::store(smaller.data(), simd::minimum(x, y));
    simd::store(larger.data(), simd::maximum(x, y));
    simd::store(chosen.data(), simd::where_less(x, y, simd::splat<V>(1),
                                                simd::splat<V>(-1)));
    total[0] = simd::sum(x);
    total[1] = simd::largest(x);
  }
};

TEST_P(at_width, lanes_are_compared_and_summed_in_order) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    floats a = random(seed, -1, 1), b = random(seed + 1000, -1, 1);
    b[3] = a[3];
    floats smaller, larger, chosen, total;
    run_at<order>(GetParam(), a, b, smaller, larger, chosen, total);
    float sum = 0, most = a[0];
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(smaller[i], std::min(a[i], b[i]));
      EXPECT_EQ(larger[i], std::max(a[i], b[i]));
      EXPECT_EQ(chosen[i], a[i] < b[i] ? 1 : -1);
      sum += a[i];
      most = std::max(most, a[i]);
    }
    EXPECT_EQ(total[0], sum);
    EXPECT_EQ(total[1], most);
  }
}

struct rounding {
  template <class V>
  static T2_INLINE void run(const floats& in, brains& out, floats& back) {
    simd::store(out.data(), simd::load<V>(in.data()));
    simd::store(back.data(), simd::load<V>(out.data()));
  }
};

TEST_P(at_width, bfloat16_is_rounded_as_libtorch_does) {
  std::mt19937 generator{7};
  for (int round = 0; round < 500; ++round) {
    floats in;
    for (float& x : in) {
      do x = std::bit_cast<float>(static_cast<std::uint32_t>(generator()));
      while (std::isnan(x));
    }
    // Ties of both parities, and what rounds to infinity.
    in[0] = std::bit_cast<float>(0x3f808000u);
    in[1] = std::bit_cast<float>(0x3f818000u);
    in[2] = std::numeric_limits<float>::max();
    brains out;
    floats back;
    run_at<rounding>(GetParam(), in, out, back);
    for (std::size_t i = 0; i < in.size(); ++i) {
      EXPECT_EQ(out[i].x, c10::BFloat16(in[i]).x) << in[i];
      EXPECT_EQ(back[i], static_cast<float>(out[i]));
    }
  }
}

struct some {
  template <class V>
  static T2_INLINE void run(const float* in, std::int64_t count, floats& wide,
                            float* out, c10::BFloat16* narrow) {
    const V v = simd::load_some<V>(in, count);
    simd::store(wide.data(), v);
    simd::store_some(out, v, count);
    simd::store_some(narrow, v, count);
  }
};

TEST_P(at_width, the_first_lanes_alone_are_read_and_written) {
  for (std::int64_t count = 1; count <= simd::lanes; ++count) {
    // Exactly as long as is read: a sanitizer sees what goes beyond.
    const auto n = static_cast<std::size_t>(count);
    const std::vector<float> in(n, 3);
    std::vector<float> out(n, 0);
    std::vector<c10::BFloat16> narrow(n);
    floats wide;
    run_at<some>(GetParam(), in.data(), count, wide, out.data(),
                 narrow.data());
    for (std::size_t i = 0; i < wide.size(); ++i)
      EXPECT_EQ(wide[i], i < n ? 3 : 0);
    EXPECT_EQ(out, in);
    for (const auto x : narrow) EXPECT_EQ(static_cast<float>(x), 3);
  }
}

// Fused multiply-adds round alike in both, so that an answer does not depend
// on which of two recent processors gives it.
TEST(simd, avx2_and_avx512_agree_to_the_bit) {
  if (simd::register_width() < 16) GTEST_SKIP() << "no AVX-512 here";
  for (unsigned seed = 0; seed < 200; ++seed) {
    const floats x = random(seed, -87, 88);
    floats narrow, wide;
    run_at<exponentials>(8, x, narrow);
    run_at<exponentials>(16, x, wide);
    EXPECT_EQ(narrow, wide);
  }
}

}  // namespace
}  // namespace t2
