#include "model/checkpoint.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include "model/safetensors.hpp"
#include "tests/paths.hpp"

namespace t2 {
namespace {

class checkpoint_test : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "t2.XXXXXX");
    ASSERT_TRUE(::mkdtemp(name.data()));
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  void write_index(const std::string& weight_map) {
    std::ofstream{folder / "model.safetensors.index.json"}
        << R"({"metadata":{},"weight_map":)" << weight_map << "}";
  }

  std::filesystem::path folder;
};

using checkpoint_files = checkpoint_test;
constexpr std::array<std::int64_t, 1> four{4};

TEST_F(checkpoint_files, are_found_whole_or_in_shards) {
  const auto assets = tests::assets();
  const auto whole = checkpoint::open(assets / "mistral-tiny");
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->source().files().size(), 1u);
  const auto sharded = checkpoint::open(assets / "llama3-tiny");
  ASSERT_TRUE(sharded) << sharded.error().message;
  EXPECT_EQ(sharded->source().files().size(), 2u);
  EXPECT_TRUE(sharded->has("lm_head.weight"));
  EXPECT_EQ(sharded->source().tensors().size(), 3u + 3 * 9);
  const std::array<std::int64_t, 2> shape{384, 96};
  const auto head = sharded->tensor("lm_head.weight", shape);
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->scalar_type(), at::kBFloat16);
}

TEST_F(checkpoint_files, without_weights_are_an_error_that_says_what_to_add) {
  const auto opened = checkpoint::open(folder);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ec::not_found);
  EXPECT_NE(opened.error().message.find("model.safetensors"),
            std::string::npos);
}

TEST_F(checkpoint_files, named_outside_the_folder_are_refused) {
  ASSERT_TRUE(write_safetensors(folder / "good.safetensors",
                                {{"x", at::ones({4})}}));
  for (const std::string bad :
       {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ".",
        "", ".hidden"}) {
    write_index(R"({"x":")" + bad + "\"}");
    const auto opened = checkpoint::open(folder);
    ASSERT_FALSE(opened) << bad;
    EXPECT_EQ(opened.error().code, ec::corrupt);
    EXPECT_NE(opened.error().message.find(
                  "tensor 'x': expected the name of a file beside the index"),
              std::string::npos)
        << opened.error().message;
  }
  write_index(R"({"x":"good.safetensors"})");
  EXPECT_TRUE(checkpoint::open(folder));
  for (const std::string bad : {"[]", "3", R"({"x":7})"}) {
    write_index(bad);
    EXPECT_EQ(checkpoint::open(folder).error().code, ec::corrupt);
  }
}

TEST_F(checkpoint_files, that_lack_what_the_index_promises_are_refused) {
  ASSERT_TRUE(
      write_safetensors(folder / "a.safetensors", {{"x", at::ones({4})}}));
  write_index(R"({"x":"a.safetensors","y":"a.safetensors"})");
  EXPECT_NE(checkpoint::open(folder).error().message.find(
                "a.safetensors: expected a tensor 'y' (by the index), found "
                "none"),
            std::string::npos);
  write_index(R"({"x":"a.safetensors","y":"b.safetensors"})");
  EXPECT_EQ(checkpoint::open(folder).error().code, ec::not_found);
}

TEST_F(checkpoint_files, give_errors_that_name_tensor_expected_and_found) {
  ASSERT_TRUE(write_safetensors(
      folder / "model.safetensors",
      {{"x", at::ones({2, 2})}, {"i", at::zeros({4}, at::kLong)}}));
  const auto opened = checkpoint::open(folder);
  ASSERT_TRUE(opened);
  const auto file = (folder / "model.safetensors").string();
  EXPECT_EQ(opened->tensor("x", four).error().message,
            file + ": tensor 'x': expected shape [4], found [2, 2]");
  EXPECT_EQ(opened->tensor("y", four).error().message,
            folder.string() + ": tensor 'y': expected shape [4], found none");
  EXPECT_EQ(opened->tensor("y", four).error().code, ec::not_found);
  EXPECT_EQ(opened->tensor("i", four).error().message,
            file + ": tensor 'i': expected F32, BF16 or F16, found I64");
}

TEST_F(checkpoint_files, with_nan_or_infinite_weights_are_refused) {
  constexpr std::int64_t count = 10'001;  // no multiple of a vector
  const std::array<std::int64_t, 1> shape{count};
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const auto bad : {std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity()})
      for (const auto where : {std::int64_t{0}, std::int64_t{5000},
                               count - 1}) {
        // The largest finite values are neighbours of infinity.
        auto x = at::ones({count}, dtype) * (dtype == at::kHalf ? 65504 : 3e38);
        ASSERT_TRUE(
            write_safetensors(folder / "model.safetensors", {{"x", x}}));
        EXPECT_TRUE(checkpoint::open(folder)->tensor("x", shape));
        x[where] = bad;
        ASSERT_TRUE(
            write_safetensors(folder / "model.safetensors", {{"x", x}}));
        const auto read = checkpoint::open(folder)->tensor("x", shape);
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code, ec::corrupt);
        EXPECT_NE(read.error().message.find("tensor 'x': expected finite "
                                            "values, found NaN or infinity at "
                                            "element " +
                                            std::to_string(where)),
                  std::string::npos);
      }
}

}  // namespace
}  // namespace t2
