#include "adaptation/expert.hpp"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/safetensors.hpp"
#include "tests/adaptation/tiny_shape.hpp"

namespace t2 {
namespace {

expert some_expert(svf_targets targets = svf_targets::mlp) {
  expert e;
  e.name = "tales";
  e.base = std::string(64, 'a');
  e.norm = svf_norm::nuclear;
  e.targets = targets;
  e.z = random_vector(svf_layout{tiny_config(), targets}.total(), 0, 2, 7);
  e.provenance = R"({"seed":7})";
  return e;
}

// The tensors and metadata of an expert file, to be spoilt.
struct parts {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

parts take_apart(const expert& e) {
  auto bytes = serialise_expert(e, tiny_config());
  auto file = safetensors_file::parse(*std::move(bytes), "e");
  parts out;
  out.metadata = file->metadata();
  for (const tensor_view& view : file->tensors())
    out.tensors[view.name] = view.tensor().clone();
  return out;
}

result<expert> parse(const parts& p) {
  auto bytes = serialise_safetensors(p.tensors, p.metadata);
  return parse_expert(*bytes, "tales.safetensors", tiny_config(),
                      std::string(64, 'a'));
}

class expert_file : public testing::TestWithParam<svf_targets> {};

TEST_P(expert_file, reads_back_what_it_wrote) {
  const expert e = some_expert(GetParam());
  const auto bytes = serialise_expert(e, tiny_config());
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto read = parse_expert(*bytes, "f", tiny_config(), e.base);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->z.equal(e.z));
  EXPECT_EQ(read->norm, e.norm);
  EXPECT_EQ(read->targets, e.targets);
  EXPECT_EQ(read->base, e.base);
  EXPECT_EQ(read->provenance, e.provenance);
  EXPECT_EQ(*serialise_expert(*read, tiny_config()), *bytes);
}

TEST(expert_file, keeps_what_it_has_seen) {
  expert e = some_expert();
  EXPECT_FALSE(parse(take_apart(e))->seen);
  example asked;
  asked.prompt = "2 + 2?";
  e.seen.emplace();
  e.seen->add(asked);
  const auto read = parse(take_apart(e));
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_TRUE(read->seen);
  EXPECT_TRUE(read->seen->contains(asked));

  parts spoilt = take_apart(e);
  spoilt.metadata["seen_prompts"] += "0";
  EXPECT_EQ(parse(spoilt).error().message,
            "tales.safetensors: metadata seen_prompts: expected ascending "
            "hashes of 16 hexadecimal digits each");
}

INSTANTIATE_TEST_SUITE_P(of, expert_file,
                         testing::Values(svf_targets::attention,
                                         svf_targets::mlp, svf_targets::all));

TEST(expert_file, holds_one_float32_tensor_per_projection) {
  const parts p = take_apart(some_expert(svf_targets::mlp));
  EXPECT_EQ(p.tensors.size(), 6u);
  const auto up = p.tensors.find("z.model.layers.1.mlp.up_proj.weight");
  ASSERT_NE(up, p.tensors.end());
  EXPECT_EQ(up->second.numel(), 8);
  EXPECT_EQ(p.metadata.at("format"), "t2-expert-1");
  EXPECT_EQ(p.metadata.at("targets"), "mlp");
}

TEST(expert_file, of_another_base_is_refused_naming_both) {
  const auto bytes = serialise_expert(some_expert(), tiny_config());
  const auto read =
      parse_expert(*bytes, "f", tiny_config(), std::string(64, 'b'));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ec::incompatible);
  EXPECT_NE(read.error().message.find(std::string(64, 'a')),
            std::string::npos);
  EXPECT_NE(read.error().message.find(std::string(64, 'b')),
            std::string::npos);
}

TEST(expert_file, that_lacks_a_tensor_is_refused) {
  parts p = take_apart(some_expert());
  p.tensors.erase("z.model.layers.0.mlp.gate_proj.weight");
  const auto read = parse(p);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ec::corrupt);
  EXPECT_NE(read.error().message.find("layers.0.mlp.gate_proj"),
            std::string::npos);
}

TEST(expert_file, with_a_tensor_too_many_is_refused) {
  parts p = take_apart(some_expert());
  p.tensors["z.model.layers.2.mlp.gate_proj.weight"] = at::zeros({8});
  const auto read = parse(p);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("layers.2"), std::string::npos);
}

TEST(expert_file, with_a_wrong_length_or_type_is_refused) {
  parts p = take_apart(some_expert());
  p.tensors.begin()->second = at::zeros({9});
  auto read = parse(p);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("[9]"), std::string::npos);
  p.tensors.begin()->second = at::zeros({8}, at::kBFloat16);
  read = parse(p);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("BF16"), std::string::npos);
}

TEST(expert_file, with_values_that_are_not_finite_is_refused) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    parts p = take_apart(some_expert());
    p.tensors.begin()->second.mutable_data_ptr<float>()[2] = bad;
    const auto read = parse(p);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ec::corrupt);
  }
}

TEST(expert_file, with_wrong_metadata_is_refused) {
  const std::pair<const char*, const char*> wrong[] = {
      {"format", "t2-expert-2"},
      {"norm", "euclidean"},
      {"targets", "head"},
      {"provenance", "{"}};
  for (const auto& [key, value] : wrong) {
    parts p = take_apart(some_expert());
    p.metadata[key] = value;
    const auto read = parse(p);
    ASSERT_FALSE(read) << key;
    EXPECT_EQ(read.error().code, ec::corrupt) << key;
    EXPECT_NE(read.error().message.find(key), std::string::npos) << key;
  }
  parts p = take_apart(some_expert());
  p.metadata.erase("base");
  EXPECT_FALSE(parse(p));
}

TEST(expert_file, tells_its_metadata_without_a_base) {
  const auto bytes = serialise_expert(some_expert(), tiny_config());
  const auto header = read_expert_header(*bytes, "f");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->base, std::string(64, 'a'));
  EXPECT_EQ(header->norm, svf_norm::nuclear);
  EXPECT_FALSE(read_expert_header({}, "f"));
}

}  // namespace
}  // namespace t2
