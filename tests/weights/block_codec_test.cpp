#include "weights/block_codec.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/paths.hpp"

namespace t2 {
namespace {

std::vector<std::byte> from_hex(const std::string& text) {
  std::vector<std::byte> out;
  for (std::size_t i = 0; i < text.size(); i += 2)
    out.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return out;
}

const nlohmann::json& samples() {
  static const auto read = [] {
    std::ifstream in(tests::assets() / "gguf/block_samples.json");
    return nlohmann::json::parse(in)["samples"];
  }();
  return read;
}

std::optional<tensor_encoding> named(const std::string& name) {
  for (std::uint32_t type = 0; type < 64; ++type)
    if (const auto encoding = gguf_encoding(type);
        encoding && traits(*encoding).name == name)
      return encoding;
  return std::nullopt;
}

TEST(block_codec, gives_the_values_of_the_gguf_package_to_the_bit) {
  ASSERT_EQ(samples().size(), 13u);
  for (const auto& [name, sample] : samples().items()) {
    const auto encoding = named(name);
    ASSERT_TRUE(encoding) << name;
    const auto bytes = from_hex(sample["bytes"]);
    const auto expected = from_hex(sample["values"]);
    std::vector<float> values(expected.size() / sizeof(float));
    const auto& form = traits(*encoding);
    ASSERT_EQ(static_cast<std::int64_t>(bytes.size()) / form.block_bytes * form.block,
              static_cast<std::int64_t>(values.size()))
        << name;
    decode_blocks(*encoding, bytes, values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      float right;
      std::memcpy(&right, expected.data() + i * sizeof right, sizeof right);
      ASSERT_EQ(values[i], right) << name << " at " << i;
    }
  }
}

TEST(block_codec, every_encoding_that_weights_can_have_is_sampled) {
  for (std::uint32_t type = 0; type < 64; ++type) {
    const auto encoding = gguf_encoding(type);
    if (!encoding || !traits(*encoding).weights) continue;
    const std::string name{traits(*encoding).name};
    EXPECT_TRUE(name == "F32" || samples().contains(name)) << name;
  }
}

TEST(block_codec, plain_numbers_are_copied) {
  const std::vector<float> in{1.5f, -0.0f, 3e-42f};
  std::vector<float> out(3);
  decode_blocks(tensor_encoding::f32, std::as_bytes(std::span{in}), out);
  EXPECT_EQ(std::memcmp(in.data(), out.data(), sizeof(float) * 3), 0);
}

}  // namespace
}  // namespace t2
