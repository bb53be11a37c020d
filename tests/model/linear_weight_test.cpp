// Packed products against plain ones, over the row counts that are padded and
// those that are not.
#include "model/linear_weight.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <tuple>

#include "tests/model/test_device.hpp"

namespace t2 {
namespace {

class linear_weight_rows
    : public testing::TestWithParam<std::tuple<std::string, at::ScalarType>> {
 protected:
  linear_weight_rows() { at::manual_seed(11); }

  at::Tensor random(std::int64_t rows, std::int64_t columns) const {
    return at::randn({rows, columns}, at::kFloat)
        .to(test_device(std::get<0>(GetParam())), std::get<1>(GetParam()));
  }

  void expect_close(const at::Tensor& found, const at::Tensor& expected) const {
    ASSERT_EQ(found.sizes(), expected.sizes());
    ASSERT_EQ(found.scalar_type(), std::get<1>(GetParam()));
    if (expected.numel() == 0) return;
    const auto error =
        (found.to(at::kCPU, at::kDouble) - expected).abs().max().item<double>();
    const double scale = expected.abs().max().item<double>();
    EXPECT_LE(error / scale,
              std::get<1>(GetParam()) == at::kFloat ? 1e-5 : 1.6e-2)
        << found.size(0) << " rows";
  }
};

TEST_P(linear_weight_rows, products_of_any_number_of_rows_are_the_plain_ones) {
  const at::Tensor w = random(24, 40);
  const linear_weight weight(w);
  const at::Tensor plain = w.to(at::kCPU, at::kDouble).t();
  for (const std::int64_t rows :
       {0, 1, 7, 8, 15, 16, 17, 18, 31, 33, 100, 127, 129, 515}) {
    const at::Tensor x = random(rows, 40), y = random(rows, 24);
    const at::Tensor expected = at::matmul(x.to(at::kCPU, at::kDouble), plain);
    expect_close(weight.apply(x), expected);
    expect_close(weight.apply_onto(y, x),
                 expected + y.to(at::kCPU, at::kDouble));
  }
}

TEST_P(linear_weight_rows, of_a_slice_neither_reads_nor_writes_beside_it) {
  const at::Tensor w = random(8, 16);
  const linear_weight weight(w);
  const at::Tensor all = random(40, 16), sums = random(40, 8);
  const at::Tensor before = sums.clone();
  const at::Tensor plain = w.to(at::kCPU, at::kDouble).t();
  const at::Tensor x = all.narrow(0, 3, 19), y = sums.narrow(0, 3, 19);
  const at::Tensor expected = at::matmul(x.to(at::kCPU, at::kDouble), plain);
  expect_close(weight.apply(x), expected);
  expect_close(weight.apply_onto(y, x), expected + y.to(at::kCPU, at::kDouble));
  EXPECT_TRUE(sums.equal(before));
}

INSTANTIATE_TEST_SUITE_P(
    all, linear_weight_rows,
    testing::Combine(testing::ValuesIn(test_devices()),
                     testing::Values(at::kFloat, at::kBFloat16)),
    [](const auto& given) {
      return std::get<0>(given.param) + "_" +
             (std::get<1>(given.param) == at::kFloat ? "fp32" : "bf16");
    });

}  // namespace
}  // namespace t2
