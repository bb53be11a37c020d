#include "adaptation/expert_control.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/safetensors.hpp"

namespace t2 {
namespace {

std::string file_of(const at::Tensor& a, const at::Tensor& b) {
  const auto bytes = *serialise_safetensors(
      {{"z.a", a}, {"z.b", b}}, {{"norm", "none"}});
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

safetensors_file parsed(const std::string& file) {
  const auto bytes = std::as_bytes(std::span{file});
  return *safetensors_file::parse({bytes.begin(), bytes.end()}, "test");
}

TEST(expert_control, has_the_mixtures_entries_in_another_order) {
  at::manual_seed(3);
  const auto a = at::randn({200}), b = at::randn({50});
  const auto c = at::randn({200}), d = at::randn({50});
  const auto control = shuffled_blend(
      std::vector<weighted_file>{{file_of(a, b), 0.5f}, {file_of(c, d), 0.25f}},
      79);
  ASSERT_TRUE(control) << control.error().message;
  const auto found = parsed(*control);
  EXPECT_EQ(found.metadata().at("norm"), "none");
  const auto expected = 1 + 0.5 * (a - 1) + 0.25 * (c - 1);
  const auto z = *found.tensor("z.a");
  EXPECT_TRUE(at::allclose(std::get<0>(z.sort()), std::get<0>(expected.sort())));
  EXPECT_FALSE(at::allclose(z, expected));
  EXPECT_EQ(*control,
            *shuffled_blend(std::vector<weighted_file>{{file_of(a, b), 0.5f},
                                                       {file_of(c, d), 0.25f}},
                            79));
}

TEST(expert_control, refuses_experts_of_different_projections) {
  const auto a = at::ones({4});
  EXPECT_FALSE(shuffled_blend({}, 1));
  EXPECT_FALSE(shuffled_blend(
      std::vector<weighted_file>{{file_of(a, a), 1},
                                 {file_of(a, at::ones({5})), 1}},
      1));
}

}  // namespace
}  // namespace t2
