// Random numbers are promised to be the same on every machine: fixed ones, from
// tests/make_random_streams.py (Python's integers, its normal distribution).
#include "adaptation/random_stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace t2 {
namespace {

constexpr auto last = std::numeric_limits<std::uint64_t>::max();

struct fixed {
  std::uint64_t seed, stream, first, third;
  double uniform, normal;
  std::uint64_t below_ten;
  std::vector<std::size_t> order;
};

const std::array<fixed, 5> all{{
    {0, 0, 6509706759420090823u, 14656217533159316132u, 0.35289191054034175,
     -0.3775245533221105, 3, {6, 0, 1, 5, 3, 2, 4, 7}},
    {1, 0, 862452965642792562u, 17930544731784490316u, 0.046753668950824,
     -1.6771797485477604, 2, {5, 1, 6, 0, 4, 7, 3, 2}},
    {0, 1, 459890810119706851u, 588263106447259057u, 0.024930730771895226,
     -1.9611505657869794, 1, {7, 2, 0, 5, 4, 6, 1, 3}},
    {79, 3, 14604515726538103363u, 1273697484232329069u, 0.7917123839405663,
     0.8123771874076816, 3, {6, 0, 1, 5, 2, 7, 4, 3}},
    {last, last, 9008872138579990848u, 10527366976211140528u,
     0.4883719372146279, -0.02915135924341309, 8, {5, 3, 2, 7, 1, 4, 6, 0}},
}};

TEST(random_stream, gives_the_same_bits_everywhere) {
  for (const auto& one : all) {
    random_stream bits{one.seed, one.stream};
    EXPECT_EQ(bits.next(), one.first);
    bits.next();
    EXPECT_EQ(bits.next(), one.third);
    EXPECT_EQ(random_stream(one.seed, one.stream).uniform(), one.uniform);
    EXPECT_EQ(random_stream(one.seed, one.stream).below(10), one.below_ten);
    EXPECT_EQ(random_stream(one.seed, one.stream).permutation(8), one.order);
  }
}

TEST(random_stream, gives_the_normal_numbers_of_another_implementation) {
  for (const auto& one : all)
    EXPECT_NEAR(random_stream(one.seed, one.stream).normal(), one.normal,
                1e-14 * (1 + std::abs(one.normal)));
  random_stream stream{5};
  double least = 0, most = 0;
  for (int i = 0; i < 4000; ++i) {
    const double x = stream.normal();
    least = std::min(least, x);
    most = std::max(most, x);
  }
  EXPECT_NEAR(least, -3.9600586048020894, 1e-13);
  EXPECT_NEAR(most, 3.6071987106467134, 1e-13);
}

}  // namespace
}  // namespace t2
