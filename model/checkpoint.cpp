#include "model/checkpoint.hpp"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "model/safetensors.hpp"

namespace t2 {
namespace {

/// The first element whose exponent bits are all ones (NaN or infinity). The
/// inner loop has no branch, so that it is compiled to vector instructions.
template <class Word>
std::optional<std::size_t> first_non_finite(std::span<const std::byte> bytes,
                                            Word exponent) {
  constexpr std::size_t block = 4096;
  const auto* words = reinterpret_cast<const Word*>(bytes.data());
  const auto count = bytes.size() / sizeof(Word);
  for (std::size_t start = 0; start < count; start += block) {
    const auto stop = std::min(count, start + block);
    Word bad = 0;
    for (auto i = start; i < stop; ++i)
      bad = static_cast<Word>(
          bad | static_cast<Word>((words[i] & exponent) == exponent));
    if (!bad) continue;
    for (auto i = start; i < stop; ++i)
      if ((words[i] & exponent) == exponent) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> first_non_finite(std::span<const std::byte> bytes,
                                            at::ScalarType type) {
  switch (type) {
    case at::ScalarType::Float:
      return first_non_finite<std::uint32_t>(bytes, 0x7f800000u);
    case at::ScalarType::BFloat16:
      return first_non_finite<std::uint16_t>(bytes, 0x7f80);
    default:
      return first_non_finite<std::uint16_t>(bytes, 0x7c00);
  }
}

std::optional<std::size_t> first_non_finite(const at::Tensor& values) {
  return first_non_finite(
      {static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()},
      values.scalar_type());
}

}  // namespace

result<checkpoint> checkpoint::open(const std::filesystem::path& path) {
  auto source = open_weights(path);
  if (!source) return source.error();
  checkpoint out;
  out.folder_ = path;
  out.source_ = *std::move(source);
  return out;
}

checkpoint checkpoint::named_for(const model_config& config) const {
  checkpoint out = *this;
  out.config_ = std::make_shared<const model_config>(config);
  out.names_ = source_->names(config);
  return out;
}

const stored_tensor* checkpoint::holder(const stored_weight& weight) const {
  if (const auto* found = source_->find(weight.name)) return found;
  return weight.other_name.empty() ? nullptr : source_->find(weight.other_name);
}

bool checkpoint::has(std::string_view name) const {
  return holder(names_.find(name)) != nullptr;
}

result<stored_tensor> checkpoint::view(std::string_view name) const {
  const auto weight = names_.find(name);
  if (const auto* found = holder(weight)) return *found;
  return error{ec::not_found, folder_.string() + ": expected a tensor '" +
                                  weight.name + "', found none"};
}

result<at::Tensor> checkpoint::tensor(
    std::string_view name, std::span<const std::int64_t> shape) const {
  const auto weight = names_.find(name);
  const auto how = weight.how;
  std::vector<std::int64_t> stored_shape(shape.begin(), shape.end());
  stored_rows rows{.count = shape[0], .whole = shape[0]};
  if (how != stored_as::itself) {
    rows = rows_of(how, shape[0], *config_);
    stored_shape[0] = rows.whole;
  }
  // A bias has no inputs to lie the other way.
  const bool turned = is_transposed(how) && shape.size() == 2;
  if (turned) std::swap(stored_shape[0], stored_shape[1]);

  const auto* view = holder(weight);
  if (!view)
    return error{ec::not_found, folder_.string() + ": tensor '" + weight.name +
                                    "': expected shape " +
                                    shape_text(stored_shape) + ", found none"};
  const auto fail = [&](const std::string& why) {
    return error{ec::corrupt,
                 view->file.string() + ": tensor '" + view->name + "': " + why};
  };
  if (!std::ranges::equal(stored_shape, view->shape))
    return fail("expected shape " + shape_text(stored_shape) + ", found " +
                shape_text(view->shape));
  if (!view->encoding || !traits(*view->encoding).weights)
    return fail("expected " +
                (view->encoding ? "one of " +
                                      std::string{known_weight_encodings()}
                                : std::string{"F32, BF16 or F16"}) +
                ", found " + std::string{view->type});
  auto tensor = decode(*view);
  if (const auto bad = first_non_finite(tensor))
    return fail("expected finite values, found NaN or infinity at element " +
                std::to_string(*bad));
  if (turned) tensor = tensor.t();
  if (is_by_head(how)) {
    std::vector<std::int64_t> split{config_->heads, 3, config_->head_dim};
    split.insert(split.end(), shape.begin() + 1, shape.end());
    const auto part = how == stored_as::query_by_head ? 0
                      : how == stored_as::key_by_head ? 1
                                                      : 2;
    // The heads of a part do not lie behind each other: a copy.
    return tensor.view(split).select(1, part).reshape(shape);
  }
  if (how == stored_as::rotated_pairs) {
    std::vector<std::int64_t> split{shape[0] / config_->head_dim,
                                    config_->head_dim / 2, 2};
    split.insert(split.end(), shape.begin() + 1, shape.end());
    return tensor.view(split).transpose(1, 2).reshape(shape);
  }
  return rows.count == rows.whole ? tensor
                                  : tensor.narrow(0, rows.begin, rows.count);
}

}  // namespace t2
