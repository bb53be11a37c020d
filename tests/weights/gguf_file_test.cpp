#include "weights/gguf_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/weights/gguf_builder.hpp"

namespace t2 {
namespace {

using tests::gguf_builder;

constexpr std::uint32_t f32 = 0, q8_0 = 8;

std::vector<std::byte> floats(std::size_t count) {
  return std::vector<std::byte>(count * 4);
}

gguf_builder small() {
  gguf_builder file;
  file.text("general.architecture", "llama")
      .key("llama.block_count", gguf_type::uint32, std::uint32_t{2})
      .key("llama.rope.freq_base", gguf_type::float32, 10000.0f)
      .key("tokenizer.ggml.add_bos_token", gguf_type::boolean, std::uint8_t{1})
      .texts("tokenizer.ggml.tokens", {"a", "", "▁b"})
      .numbers<std::int32_t>("tokenizer.ggml.token_type", gguf_type::int32, {1, 3, -1})
      .tensor("b.weight", {4, 3}, f32, floats(12))
      .tensor("a.weight", {32, 2}, q8_0, std::vector<std::byte>(68));
  return file;
}

/// The one line of a refusal.
std::string refusal(const std::vector<std::byte>& bytes) {
  const auto file = gguf_file::parse(bytes, "m.gguf");
  if (file) return "accepted";
  EXPECT_TRUE(file.error().message.starts_with("m.gguf: ")) << file.error().message;
  EXPECT_EQ(file.error().message.find('\n'), std::string::npos);
  return file.error().message.substr(8);
}

TEST(gguf_file, reads_keys_and_tensors_of_versions_2_and_3) {
  for (const std::uint32_t version : {2u, 3u}) {
    auto builder = small();
    builder.version = version;
    const auto bytes = builder.bytes();
    const auto file = gguf_file::parse(bytes, "m.gguf");
    ASSERT_TRUE(file) << file.error().message;
    const auto& keys = file->metadata();
    EXPECT_EQ(std::get<std::string_view>(keys.at("general.architecture")), "llama");
    EXPECT_EQ(std::get<std::int64_t>(keys.at("llama.block_count")), 2);
    EXPECT_EQ(std::get<double>(keys.at("llama.rope.freq_base")), 10000.0);
    EXPECT_TRUE(std::get<bool>(keys.at("tokenizer.ggml.add_bos_token")));
    EXPECT_EQ(std::get<gguf_array>(keys.at("tokenizer.ggml.tokens")).strings(),
              (std::vector<std::string_view>{"a", "", "▁b"}));
    EXPECT_EQ(std::get<gguf_array>(keys.at("tokenizer.ggml.token_type")).integers(),
              (std::vector<std::int64_t>{1, 3, -1}));
    ASSERT_EQ(file->tensors().size(), 2u);
    const auto* a = file->find("a.weight");
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->shape, (std::vector<std::int64_t>{2, 32}));
    EXPECT_EQ(a->bytes.size(), 68u);
    EXPECT_EQ(file->find("b.weight")->shape, (std::vector<std::int64_t>{3, 4}));
    EXPECT_EQ(file->find("c.weight"), nullptr);
  }
}

TEST(gguf_file, says_which_file_is_not_one) {
  EXPECT_EQ(refusal({}), "expected a GGUF file (it begins with \"GGUF\"), found an empty file");
  auto other = small();
  other.magic = 0x46554748;
  EXPECT_EQ(refusal(other.bytes()),
            "expected a GGUF file (it begins with \"GGUF\"), found another kind of file");
  auto future = small();
  future.version = 99;
  EXPECT_EQ(refusal(future.bytes()), "version: expected 2 or 3, found 99");
  auto swapped = small();
  swapped.version = 0x03000000;
  EXPECT_EQ(refusal(swapped.bytes()), "expected a little-endian file, found a big-endian one");
}

TEST(gguf_file, believes_no_count_that_the_file_cannot_hold) {
  auto keys = small();
  keys.counted_keys = std::int64_t{1} << 61;
  EXPECT_NE(refusal(keys.bytes()).find("metadata keys in a file of"), std::string::npos);
  auto tensors = small();
  tensors.counted_tensors = std::int64_t{1} << 61;
  EXPECT_NE(refusal(tensors.bytes()).find("tensors in a file of"), std::string::npos);
  auto many = gguf_builder{};
  std::vector<std::byte> list;
  const auto put = [&](auto value) {
    const auto at = list.size();
    list.resize(at + sizeof value);
    std::memcpy(list.data() + at, &value, sizeof value);
  };
  put(std::uint64_t{1});
  list.push_back(std::byte{'k'});
  put(gguf_type::array);
  put(gguf_type::float64);
  put(std::uint64_t{1} << 61);
  many.raw_key(list);
  EXPECT_NE(refusal(many.bytes()).find("key 'k': expected at most"), std::string::npos);
}

TEST(gguf_file, refuses_keys_and_values_that_lie) {
  auto twice = small();
  twice.text("general.architecture", "gpt2");
  EXPECT_EQ(refusal(twice.bytes()), "key 'general.architecture': expected once, found twice");
  auto neither = small();
  neither.key("x", gguf_type::boolean, std::uint8_t{2});
  EXPECT_EQ(refusal(neither.bytes()), "key 'x': expected 0 or 1 for a bool, found 2");
  auto unknown = small();
  unknown.key("x", static_cast<gguf_type>(13), std::uint64_t{0});
  EXPECT_EQ(refusal(unknown.bytes()), "key 'x': expected a type from 0 to 12, found 13");
  auto unnamed = small();
  unnamed.text("", "x");
  EXPECT_NE(refusal(unnamed.bytes()).find("expected a key of 1 to"), std::string::npos);
  auto shifted = small();
  shifted.key("general.alignment", gguf_type::uint32, std::uint32_t{24});
  EXPECT_EQ(refusal(shifted.bytes()), "general.alignment: expected a power of two, found 24");
  auto control = small();
  control.key("a\nb\x80", static_cast<gguf_type>(99), 0);
  EXPECT_EQ(refusal(control.bytes()), "key 'a?b?': expected a type from 0 to 12, found 99");
}

TEST(gguf_file, refuses_tensors_that_lie) {
  EXPECT_EQ(refusal(small().tensor("c", {4}, 9999, floats(4)).bytes()).find(
                "tensor 'c': expected one of F32, F16"), 0u);
  EXPECT_EQ(refusal(small().tensor("c", {40}, q8_0, floats(40)).bytes()),
            "tensor 'c': expected rows of whole blocks of 32 values (Q8_0), found rows of 40");
  const auto huge = std::uint64_t{1} << 40;
  EXPECT_NE(refusal(small().tensor("c", {huge, huge}, f32, floats(4)).bytes()).find("2^48"),
            std::string::npos);
  EXPECT_NE(refusal(small().tensor("c", {0}, f32, {}).bytes()).find("dimensions of 1"),
            std::string::npos);
  EXPECT_NE(refusal(small().tensor("c", {1, 1, 1, 1, 1}, f32, floats(1)).bytes())
                .find("1 to 4 dimensions, found 5"),
            std::string::npos);
  EXPECT_NE(refusal(small().tensor("c", {4}, f32, floats(4), 0).bytes())
                .find("within another tensor"),
            std::string::npos);
  EXPECT_NE(refusal(small().tensor("c", {4}, f32, floats(4), 33).bytes())
                .find("a multiple of 32, found 33"),
            std::string::npos);
  EXPECT_NE(refusal(small().tensor("c", {4}, f32, floats(4), std::int64_t{1} << 40).bytes())
                .find("bytes of tensors in the file"),
            std::string::npos);
  EXPECT_EQ(refusal(small().tensor("a.weight", {4}, f32, floats(4)).bytes()),
            "tensor 'a.weight': expected once, found twice");
}

TEST(gguf_file, each_cut_of_a_file_is_refused) {
  const auto whole = small().bytes();
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}),
              "accepted")
        << size;
  EXPECT_EQ(refusal(whole), "accepted");
}

TEST(gguf_file, a_changed_byte_never_leads_out_of_the_file) {
  const auto whole = small().bytes();
  std::mt19937 draw{7};
  for (int i = 0; i < 20000; ++i) {
    auto bytes = whole;
    for (int changes = 0; changes < 3; ++changes)
      bytes[draw() % bytes.size()] = static_cast<std::byte>(draw());
    const auto file = gguf_file::parse(bytes, "m.gguf");
    if (!file) continue;
    for (const auto& tensor : file->tensors()) {
      EXPECT_GE(tensor.bytes.data(), bytes.data());
      EXPECT_LE(tensor.bytes.data() + tensor.bytes.size(), bytes.data() + bytes.size());
    }
    for (const auto& [key, value] : file->metadata()) {
      const auto* list = std::get_if<gguf_array>(&value);
      if (!list) continue;
      EXPECT_EQ(list->strings().size() + list->integers().size() +
                    list->floats().size(),
                list->size)
          << key;
    }
  }
}

TEST(gguf_file, larger_files_with_one_fault_each_are_refused) {
  const auto* assets = std::getenv("T2_ASSETS");
  if (!assets) GTEST_SKIP() << "T2_ASSETS names no folder of larger assets";
  int refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path{assets} / "gguf/broken")) {
    if (entry.path().extension() != ".gguf") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto bytes = std::as_bytes(std::span{text});
    const auto file = gguf_file::parse(bytes, entry.path().filename());
    EXPECT_EQ(bool(file), entry.path().stem() == "valid") << entry.path();
    refused += !file;
  }
  EXPECT_EQ(refused, 14);
}

}  // namespace
}  // namespace t2
