#include "adaptation/svf.hpp"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "tests/adaptation/tiny_shape.hpp"

namespace t2 {
namespace {

// d of the paper's formulas in float64, written without the code under test.
std::vector<double> naive_delta(const std::vector<double>& z,
                                const at::Tensor& s, svf_norm norm,
                                const svf_layout& layout) {
  std::vector<double> d(z.size());
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const auto begin = static_cast<std::size_t>(layout.offset(p));
    const auto end =
        begin + static_cast<std::size_t>(layout.projections()[p].rank());
    double plain = 0, scaled = 0;
    for (auto i = begin; i < end; ++i) {
      const double si = s.const_data_ptr<float>()[i];
      plain += si;
      scaled += si * z[i];
    }
    const double nu = norm == svf_norm::nuclear ? plain / scaled : 1;
    for (auto i = begin; i < end; ++i)
      d[i] = nu * s.const_data_ptr<float>()[i] * z[i] -
             s.const_data_ptr<float>()[i];
  }
  return d;
}

std::vector<double> doubles(const at::Tensor& t) {
  return {t.const_data_ptr<float>(), t.const_data_ptr<float>() + t.numel()};
}

class svf : public testing::TestWithParam<
                std::tuple<svf_norm, svf_parametrisation>> {
 protected:
  svf_norm norm() const { return std::get<0>(GetParam()); }
  svf_parametrisation form() const { return std::get<1>(GetParam()); }
  std::shared_ptr<const svf_layout> layout = tiny_layout();
  at::Tensor s = random_vector(layout->total(), 0.1f, 3, 1);

  std::vector<double> naive_z(std::vector<double> p) const {
    if (form() == svf_parametrisation::sigmoid)
      for (double& x : p) x = 2 / (1 + std::exp(-x));
    return p;
  }
};

TEST_P(svf, delta_is_the_paper_s_formula) {
  const at::Tensor p = random_vector(layout->total(), 0.2f, 1.8f, 2);
  const auto d =
      delta_from_z(z_from_parameter(p, form()), s, norm(), *layout);
  ASSERT_TRUE(d) << d.error().message;
  const auto expected = naive_delta(naive_z(doubles(p)), s, norm(), *layout);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(d->const_data_ptr<float>()[i], expected[i], 1e-5);
}

TEST_P(svf, gradient_equals_finite_differences_at_random_points) {
  const auto n = static_cast<std::size_t>(layout->total());
  const auto slope = doubles(random_vector(layout->total(), -1, 1, 3));
  const auto bend = doubles(random_vector(layout->total(), -1, 1, 4));
  // L(d) = Σ slope d + bend d² / 2
  const auto loss = [&](const std::vector<double>& p) {
    const auto d = naive_delta(naive_z(p), s, norm(), *layout);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
      sum += slope[i] * d[i] + bend[i] * d[i] * d[i] / 2;
    return sum;
  };
  for (std::uint64_t seed = 10; seed < 13; ++seed) {
    const at::Tensor p = random_vector(layout->total(), 0.2f, 1.8f, seed);
    const at::Tensor z = z_from_parameter(p, form());
    const auto d = delta_from_z(z, s, norm(), *layout);
    ASSERT_TRUE(d);
    at::Tensor g = at::empty({layout->total()}, at::kFloat);
    for (std::size_t i = 0; i < n; ++i)
      g.mutable_data_ptr<float>()[i] = static_cast<float>(
          slope[i] + bend[i] * d->const_data_ptr<float>()[i]);
    const at::Tensor found = gradient_of_parameter(
        gradient_of_z(g, z, s, norm(), *layout), p, form());
    auto at = doubles(p);
    for (std::size_t i = 0; i < n; ++i) {
      constexpr double h = 1e-5;
      const double here = at[i];
      at[i] = here + h;
      const double up = loss(at);
      at[i] = here - h;
      const double down = loss(at);
      at[i] = here;
      EXPECT_NEAR(found.const_data_ptr<float>()[i], (up - down) / (2 * h),
                  2e-4)
          << "entry " << i;
    }
  }
}

TEST_P(svf, base_parameter_is_the_base) {
  const at::Tensor p =
      at::full({layout->total()}, base_parameter(form()), at::kFloat);
  const auto d =
      delta_from_z(z_from_parameter(p, form()), s, norm(), *layout);
  ASSERT_TRUE(d);
  for (const double x : doubles(*d)) EXPECT_NEAR(x, 0, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    of, svf,
    testing::Combine(testing::Values(svf_norm::none, svf_norm::nuclear),
                     testing::Values(svf_parametrisation::direct,
                                     svf_parametrisation::sigmoid)),
    [](const auto& of) {
      return std::string{to_string(std::get<0>(of.param))} + "_" +
             std::string{to_string(std::get<1>(of.param))};
    });

TEST(svf_guard, refuses_a_sum_that_nu_cannot_restore) {
  const auto layout = tiny_layout();
  const at::Tensor s = at::full({layout->total()}, 1.0, at::kFloat);
  at::Tensor z = at::full({layout->total()}, 1.0, at::kFloat);
  const auto rank = layout->projections()[3].rank();
  z.narrow(0, layout->offset(3), rank).fill_(-1);
  const auto d = delta_from_z(z, s, svf_norm::nuclear, *layout);
  ASSERT_FALSE(d);
  EXPECT_EQ(d.error().code, ec::invalid_argument);
  EXPECT_NE(d.error().message.find(layout->projections()[3].weight),
            std::string::npos);
  EXPECT_TRUE(delta_from_z(z, s, svf_norm::none, *layout));
}

TEST(svf_guard, refuses_a_z_that_is_not_finite) {
  const auto layout = tiny_layout();
  const at::Tensor s = at::full({layout->total()}, 1.0, at::kFloat);
  at::Tensor z = at::full({layout->total()}, 1.0, at::kFloat);
  z.mutable_data_ptr<float>()[5] = std::nanf("");
  EXPECT_FALSE(delta_from_z(z, s, svf_norm::none, *layout));
}

TEST(svf_nuclear, keeps_the_sum_of_singular_values) {
  const auto layout = tiny_layout();
  const at::Tensor s = random_vector(layout->total(), 0.1f, 3, 1);
  const at::Tensor z = random_vector(layout->total(), 0.2f, 1.8f, 2);
  const auto d = delta_from_z(z, s, svf_norm::nuclear, *layout);
  ASSERT_TRUE(d);
  for (std::size_t p = 0; p < layout->size(); ++p) {
    double sum = 0;
    for (std::int64_t i = 0; i < layout->projections()[p].rank(); ++i)
      sum += d->const_data_ptr<float>()[layout->offset(p) + i];
    EXPECT_NEAR(sum, 0, 1e-5);
  }
}

}  // namespace
}  // namespace t2
