#include "model/safetensors.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include "tests/paths.hpp"

namespace t2 {
namespace {

/// A file of this header and so many bytes of data.
std::vector<std::byte> file_of(const std::string& header, std::size_t data) {
  std::vector<std::byte> bytes(8 + header.size() + data);
  for (std::size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<std::byte>(header.size() >> (8 * i) & 0xff);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

/// Headers are padded to 8 bytes so that only what a test breaks is broken.
result<safetensors_file> parse(std::string header, std::size_t data) {
  header.append((8 - header.size() % 8) % 8, ' ');
  return safetensors_file::parse(file_of(header, data), "f.safetensors");
}

std::string message(const result<safetensors_file>& parsed) {
  if (parsed) return "no error";
  EXPECT_EQ(parsed.error().code, ec::corrupt);
  return parsed.error().message;
}

std::string one(const std::string& dtype, const std::string& shape,
                const std::string& offsets) {
  return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape +
         R"(,"data_offsets":)" + offsets + "}}";
}

class scratch_folder {
 public:
  scratch_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "t2.XXXXXX");
    if (!::mkdtemp(name.data())) throw std::runtime_error{"mkdtemp"};
    path = name;
  }
  ~scratch_folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST(safetensors, reads_back_what_it_wrote_bit_for_bit) {
  const std::map<std::string, at::Tensor> tensors{
      {"b", at::arange(12).to(at::kFloat).view({3, 4})},
      {"a", at::arange(5).to(at::kBFloat16)},
      {"h", at::arange(3).to(at::kHalf)},
      {"scalar", at::arange(7, 8).squeeze()},
      {"empty", at::empty({0, 9})},
      {"bytes", at::arange(3).to(at::kByte)},
      {"strided", at::arange(6).to(at::kDouble).view({2, 3}).t()},
  };
  auto bytes = serialise_safetensors(tensors, {{"k", "v \"\\\n"}});
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto file = safetensors_file::parse(*bytes, "memory");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->metadata(),
            (std::map<std::string, std::string>{{"k", "v \"\\\n"}}));
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const auto read = file->tensor(name);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(read->equal(tensor)) << name;
  }
  EXPECT_EQ(file->tensor("none").error().code, ec::not_found);
}

TEST(safetensors, writes_the_bytes_that_the_format_says) {
  const auto bytes =
      serialise_safetensors({{"x", at::arange(2).to(at::kFloat)},
                             {"d", at::arange(1).to(at::kDouble)}},
                            {{"b", "2"}, {"a", "1"}});
  ASSERT_TRUE(bytes);
  // Wide elements first, metadata sorted, data at a multiple of 64 bytes.
  std::string header =
      R"({"__metadata__":{"a":"1","b":"2"},)"
      R"("d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
      R"("x":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})";
  header.append(192 - 8 - header.size(), ' ');
  auto expected = file_of(header, 16);
  const float one_float = 1;
  std::memcpy(expected.data() + 192 + 12, &one_float, 4);
  EXPECT_EQ(*bytes, expected);
}

TEST(safetensors, refuses_to_write_what_the_format_lacks) {
  EXPECT_EQ(serialise_safetensors({{"c", at::zeros({2}, at::kComplexFloat)}})
                .error()
                .code,
            ec::invalid_argument);
  EXPECT_EQ(serialise_safetensors({{"__metadata__", at::zeros({1})}})
                .error()
                .code,
            ec::invalid_argument);
  EXPECT_EQ(serialise_safetensors({{"\xff", at::zeros({1})}}).error().code,
            ec::invalid_argument);
}

TEST(safetensors, reads_a_file_of_the_reference_implementation) {
  const auto path =
      tests::assets() / "qwen2-tiny/model.safetensors";
  const auto file = safetensors_file::open(path);
  ASSERT_TRUE(file) << file.error().message;
  const auto embedding = file->tensor("model.embed_tokens.weight");
  ASSERT_TRUE(embedding);
  EXPECT_EQ(embedding->sizes(), (at::IntArrayRef{352, 64}));
  EXPECT_EQ(embedding->scalar_type(), at::kHalf);
  EXPECT_EQ(file->bytes().size(), std::filesystem::file_size(path));
}

TEST(safetensors, tensors_outlive_the_file_object_and_its_name) {
  const scratch_folder folder;
  const auto path = folder.path / "x.safetensors";
  const auto x = at::arange(1000).to(at::kFloat);
  ASSERT_TRUE(write_safetensors(path, {{"x", x}}));
  at::Tensor read;
  {
    const auto file = safetensors_file::open(path);
    ASSERT_TRUE(file);
    read = *file->tensor("x");
  }
  std::filesystem::remove(path);
  EXPECT_TRUE(read.equal(x));
}

TEST(safetensors, refuses_a_truncated_file_at_every_length) {
  const auto bytes =
      serialise_safetensors({{"x", at::arange(4).to(at::kFloat)}});
  ASSERT_TRUE(bytes);
  ASSERT_TRUE(safetensors_file::parse(*bytes, "f"));
  for (std::size_t size = 0; size < bytes->size(); ++size) {
    const auto parsed = safetensors_file::parse(
        {bytes->begin(), bytes->begin() + static_cast<std::ptrdiff_t>(size)},
        "f");
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().code, ec::corrupt);
  }
}

TEST(safetensors, survives_every_single_byte_flip_of_a_header) {
  const auto bytes =
      serialise_safetensors({{"x", at::arange(4).to(at::kFloat)},
                             {"y", at::arange(2).to(at::kHalf)}},
                            {{"k", "v"}});
  ASSERT_TRUE(bytes);
  for (std::size_t i = 0; i + 20 < bytes->size(); ++i)
    for (const auto flip : {0x01, 0x10, 0x80, 0xff}) {
      auto copy = *bytes;
      copy[i] ^= static_cast<std::byte>(flip);
      const auto parsed = safetensors_file::parse(std::move(copy), "f");
      if (!parsed) continue;
      // Where it still parses, every tensor lies within the bytes.
      for (const auto& view : parsed->tensors())
        EXPECT_EQ(view.tensor().nbytes(), view.bytes.size());
    }
}

TEST(safetensors, refuses_an_absurd_header_length) {
  std::vector<std::byte> bytes(64, std::byte{0xff});
  EXPECT_EQ(message(safetensors_file::parse(bytes, "f")),
            "f: expected a header of at most 100000000 bytes, found a length "
            "of 18446744073709551615");
  bytes = file_of("{}", 0);
  bytes[0] = std::byte{100};
  EXPECT_EQ(message(safetensors_file::parse(bytes, "f")),
            "f: expected a header of 100 bytes, found a file of 10 bytes "
            "(truncated)");
}

TEST(safetensors, names_what_is_wrong_with_a_tensor) {
  const struct {
    std::string header;
    std::size_t data;
    std::string expected;
  } cases[]{
      {one("F99", "[2]", "[0,8]"), 8,
       "tensor 'w': expected a dtype of F64 F32 F16 BF16 I64 I32 I16 I8 U8 "
       "BOOL, found 'F99'"},
      {one("F32", "[3]", "[0,8]"), 8,
       "tensor 'w': expected 12 bytes for F32 [3], found 8"},
      {one("F32", "[2]", "[0,16]"), 8,
       "tensor 'w': expected offsets within the 8 bytes of data, found [0, "
       "16)"},
      {one("F32", "[2]", "[8,0]"), 8,
       "tensor 'w': expected offsets within the 8 bytes of data, found [8, "
       "0)"},
      {one("F32", "[4294967296,4294967296]", "[0,8]"), 8,
       "tensor 'w': the shape [4294967296, 4294967296] is too large for "
       "64-bit arithmetic"},
      {one("F32", "[0,9223372036854775807,4]", "[0,0]"), 0,
       "tensor 'w': the shape [0, 9223372036854775807, 4] is too large for "
       "64-bit arithmetic"},
      {one("F32", "[18446744073709551615]", "[0,8]"), 8,
       "safetensors header: tensor 'w': a size of 18446744073709551615 is out "
       "of range"},
      {one("F32", "[-1]", "[0,8]"), 8,
       "safetensors header: tensor 'w': expected non-negative integers as "
       "shape, found the number -1"},
      {one("F32", "[2]", "[0]"), 8,
       "safetensors header: tensor 'w': expected 2 data_offsets, found 1"},
      {one("F32", "[2]", "[0,8,8]"), 8,
       "safetensors header: tensor 'w': expected 2 data_offsets, found more"},
      {one("F32", "[2]", "[0,8]"), 12,
       "expected 8 bytes of data, found 12"},
      {one("F32", "[2]", "[4,12]"), 12,
       "tensor 'w': expected data from offset 0, found 4 (gap)"},
      {R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},)"
       R"("w":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
       5, "tensor 'w': expected data aligned to 4 bytes, found offset 1"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       12, "tensor 'w': expected data from offset 8, found 4 (overlap)"},
      {R"({"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
       R"("w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
       4, "safetensors header: tensor 'w': expected once, found twice"},
      {R"({"w":{"dtype":"F32","dtype":"F32"}})", 0,
       "safetensors header: tensor 'w': expected the key 'dtype' once, found "
       "it twice"},
      {R"({"w":{"dtype":"F32","shape":[1]}})", 4,
       "safetensors header: tensor 'w': expected a key 'data_offsets', found "
       "none"},
      {R"({"w":{"dtype":"F32","colour":1}})", 4,
       "safetensors header: tensor 'w': expected dtype, shape, data_offsets, "
       "found 'colour'"},
      {R"({"__metadata__":{"k":1}})", 0,
       "safetensors header: metadata key 'k': expected a string, found a "
       "number"},
      {R"({"w":[]})", 0,
       "safetensors header: tensor 'w': expected an object, found an array"},
      {"[]", 0, "safetensors header: expected an object, found an array"},
      {R"({"w":)", 0,
       "safetensors header: expected JSON, found a syntax error at byte 9"},
  };
  for (const auto& [header, data, expected] : cases)
    EXPECT_EQ(message(parse(header, data)), "f.safetensors: " + expected)
        << header;
}

TEST(safetensors, refuses_a_deep_header_without_a_deep_stack) {
  const std::string deep(1'000'000, '[');
  EXPECT_NE(message(parse(deep, 0)).find("expected an object"),
            std::string::npos);
  const auto nested = R"({"w":{"dtype":"F32","shape":)" + deep;
  EXPECT_NE(message(parse(nested, 0)).find("tensor 'w'"), std::string::npos);
}

TEST(safetensors, refuses_what_is_no_regular_file) {
  const scratch_folder folder;
  EXPECT_EQ(safetensors_file::open(folder.path / "none").error().code,
            ec::not_found);
  EXPECT_EQ(safetensors_file::open(folder.path).error().code,
            ec::invalid_argument);
  EXPECT_EQ(safetensors_file::open("/dev/zero").error().code,
            ec::invalid_argument);
}

}  // namespace
}  // namespace t2
