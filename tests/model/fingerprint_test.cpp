#include "model/fingerprint.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "config/sha256.hpp"

namespace t2 {
namespace {

class fingerprint : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "t2.XXXXXX");
    ASSERT_TRUE(::mkdtemp(name.data()));
    folder = name;
    cache = folder / "cache";
    config.model_type = "llama";
    config.vocabulary = 10;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  checkpoint whole(const std::string& name,
                   const std::map<std::string, at::Tensor>& content) {
    std::filesystem::create_directories(folder / name);
    EXPECT_TRUE(
        write_safetensors(folder / name / "model.safetensors", content));
    auto opened = checkpoint::open(folder / name);
    EXPECT_TRUE(opened);
    return *opened;
  }
  std::string cached(const checkpoint& weights) {
    const auto found = fingerprint_base(weights, config, cache);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : "";
  }
  /// Puts a wrong fingerprint into the cache: where it comes back, the cache
  /// was believed.
  void poison(const std::string& right, const std::string& other) {
    std::ifstream in{cache / "fingerprints.json"};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    const auto at = text.find(right);
    ASSERT_NE(at, std::string::npos);
    std::ofstream{cache / "fingerprints.json"}
        << text.replace(at, right.size(), other);
  }

  std::filesystem::path folder, cache;
  model_config config;
  const std::map<std::string, at::Tensor> tensors{
      {"b", at::ones({2, 3})}, {"a", at::full({4}, 2.0)}};
  const std::string wrong = std::string(64, 'e');
};

TEST_F(fingerprint, is_the_digest_that_the_documents_describe) {
  const auto digest = [](const at::Tensor& t) {
    return sha256_hex(std::as_bytes(
        std::span{t.const_data_ptr<float>(),
                  static_cast<std::size_t>(t.numel())}));
  };
  const auto expected = sha256_hex(
      "t2-base-1\n" + config.canonical_json() + "\n1 a F32 [4] " +
      digest(tensors.at("a")) + "\n1 b F32 [2, 3] " + digest(tensors.at("b")));
  EXPECT_EQ(base_fingerprint(whole("m", tensors), config), expected);
}

TEST_F(fingerprint, is_the_same_whatever_the_sharding_and_metadata) {
  const auto one = base_fingerprint(whole("one", tensors), config);
  const auto two = folder / "two";
  std::filesystem::create_directories(two);
  ASSERT_TRUE(write_safetensors(two / "1.safetensors",
                                {{"b", tensors.at("b")}}, {{"k", "v"}}));
  ASSERT_TRUE(
      write_safetensors(two / "2.safetensors", {{"a", tensors.at("a")}}));
  std::ofstream{two / "model.safetensors.index.json"}
      << R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors"}})";
  const auto sharded = checkpoint::open(two);
  ASSERT_TRUE(sharded) << sharded.error().message;
  EXPECT_EQ(base_fingerprint(*sharded, config), one);
}

TEST_F(fingerprint, changes_with_any_value_name_shape_dtype_or_config) {
  const auto base = base_fingerprint(whole("m", tensors), config);
  auto changed = tensors;
  changed["b"] = at::ones({2, 3});
  changed["b"][1][2] = 1.0000001;
  EXPECT_NE(base_fingerprint(whole("v", changed), config), base);
  changed["b"] = at::ones({3, 2});
  EXPECT_NE(base_fingerprint(whole("s", changed), config), base);
  changed["b"] = at::ones({2, 3}, at::kHalf);
  EXPECT_NE(base_fingerprint(whole("d", changed), config), base);
  EXPECT_NE(base_fingerprint(whole("n", {{"c", tensors.at("b")},
                                         {"a", tensors.at("a")}}),
                             config),
            base);
  auto other = config;
  other.rope_theta = 5;
  EXPECT_NE(base_fingerprint(whole("c", tensors), other), base);
}

TEST_F(fingerprint, is_remembered_while_files_and_config_stay_the_same) {
  const auto weights = whole("m", tensors);
  const auto right = cached(weights);
  EXPECT_EQ(right, base_fingerprint(weights, config));
  poison(right, wrong);
  EXPECT_EQ(cached(weights), wrong);
  // Another time stamp, and the file is read again.
  const auto file = folder / "m" / "model.safetensors";
  std::filesystem::last_write_time(
      file, std::filesystem::last_write_time(file) + std::chrono::seconds{1});
  EXPECT_EQ(cached(weights), right);
  poison(right, wrong);
  config.layers = 3;
  EXPECT_EQ(cached(weights), base_fingerprint(weights, config));
}

TEST_F(fingerprint, ignores_and_rebuilds_a_corrupt_cache) {
  const auto weights = whole("m", tensors);
  const auto right = cached(weights);
  for (const std::string text :
       {"", "{", "[]", R"({"version":1})", R"({"version":1,"entries":[]})",
        R"({"version":99,"entries":{}})", R"({"version":{},"entries":{}})"}) {
    std::ofstream{cache / "fingerprints.json"} << text;
    EXPECT_EQ(cached(weights), right) << text;
    poison(right, wrong);  // it has been rebuilt
    EXPECT_EQ(cached(weights), wrong);
    poison(wrong, "no digest");
    EXPECT_EQ(cached(weights), right);
  }
}

TEST_F(fingerprint, needs_no_cache_to_be_right) {
  const auto weights = whole("m", tensors);
  std::ofstream{folder / "file"} << "no folder";
  cache = folder / "file" / "cache";
  EXPECT_EQ(cached(weights), base_fingerprint(weights, config));
}

TEST_F(fingerprint, keeps_one_entry_per_model) {
  const auto a = whole("a", tensors);
  const auto b = whole("b", {{"a", tensors.at("a")}});
  const auto right_a = cached(a), right_b = cached(b);
  EXPECT_NE(right_a, right_b);
  poison(right_a, wrong);
  EXPECT_EQ(cached(a), wrong);
  EXPECT_EQ(cached(b), right_b);
}

}  // namespace
}  // namespace t2
