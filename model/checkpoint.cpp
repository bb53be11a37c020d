#include "model/checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "model/architecture.hpp"
#include "model/json_file.hpp"

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

std::optional<std::size_t> first_non_finite(const tensor_view& view) {
  switch (view.dtype) {
    case at::ScalarType::Float:
      return first_non_finite<std::uint32_t>(view.bytes, 0x7f800000u);
    case at::ScalarType::BFloat16:
      return first_non_finite<std::uint16_t>(view.bytes, 0x7f80);
    default:
      return first_non_finite<std::uint16_t>(view.bytes, 0x7c00);
  }
}

bool is_weight_dtype(at::ScalarType dtype) {
  return dtype == at::ScalarType::Float || dtype == at::ScalarType::BFloat16 ||
         dtype == at::ScalarType::Half;
}

/// A file of the folder itself: no separators, no "..", no hidden names.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.front() != '.' &&
         name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

}  // namespace

result<checkpoint> checkpoint::open(const std::filesystem::path& folder) {
  checkpoint out;
  out.folder_ = folder;
  const auto single = folder / "model.safetensors";
  const auto index = folder / "model.safetensors.index.json";
  std::error_code ignored;
  if (std::filesystem::exists(single, ignored)) {
    auto file = safetensors_file::open(single);
    if (!file) return file.error();
    for (const auto& view : file->tensors()) out.tensors_.emplace(view.name, view);
    return out;
  }
  if (!std::filesystem::exists(index, ignored))
    return error{ec::not_found,
                 folder.string() +
                     ": expected model.safetensors or "
                     "model.safetensors.index.json, found neither"};
  if (auto opened = out.open_shards(index); !opened) return opened.error();
  return out;
}

result<void> checkpoint::open_shards(const std::filesystem::path& index) {
  const auto json = read_json_file(index);
  if (!json) return json.error();
  const auto fail = [&](const std::string& why) {
    return error{ec::corrupt, index.string() + ": " + why};
  };
  const auto weights = json->find("weight_map");
  if (weights == json->end() || !weights->is_object())
    return fail("weight_map: expected an object, found none");

  std::map<std::string, safetensors_file> shards;
  for (const auto& [tensor, shard] : weights->items()) {
    if (!shard.is_string() ||
        !is_plain_file_name(shard.get_ref<const std::string&>()))
      return fail("tensor '" + tensor +
                  "': expected the name of a file beside the index, found " +
                  shard.dump(-1, ' ', true,
                             nlohmann::json::error_handler_t::replace));
    const auto& name = shard.get_ref<const std::string&>();
    auto at = shards.find(name);
    if (at == shards.end()) {
      auto file = safetensors_file::open(folder_ / name);
      if (!file) return file.error();
      at = shards.emplace(name, std::move(*file)).first;
    }
    const auto& views = at->second.tensors();
    const auto view = std::lower_bound(
        views.begin(), views.end(), tensor,
        [](const tensor_view& a, const std::string& b) { return a.name < b; });
    if (view == views.end() || view->name != tensor)
      return error{ec::corrupt, (folder_ / name).string() +
                                    ": expected a tensor '" + tensor +
                                    "' (by the index), found none"};
    tensors_.emplace(tensor, *view);
  }
  return {};
}

checkpoint checkpoint::named_for(const model_config& config) const {
  checkpoint out = *this;
  out.config_ = std::make_shared<const model_config>(config);
  if (const auto* family = find_architecture(config.model_type);
      family && family->names)
    out.names_ = family->names();
  return out;
}

const tensor_view* checkpoint::holder(const stored_weight& weight) const {
  if (const auto at = tensors_.find(weight.name); at != tensors_.end())
    return &at->second;
  // A model without its head is saved under shorter names, or the other way.
  const auto at = tensors_.find("transformer." + weight.name);
  return at == tensors_.end() ? nullptr : &at->second;
}

bool checkpoint::has(std::string_view name) const {
  return holder(names_.find(name)) != nullptr;
}

std::vector<std::string> checkpoint::stored_names() const {
  std::vector<std::string> names;
  for (const auto& [name, view] : tensors_) names.push_back(name);
  return names;
}

const tensor_view& checkpoint::stored(std::string_view name) const {
  return tensors_.find(name)->second;
}

result<tensor_view> checkpoint::view(std::string_view name) const {
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
  if (!is_weight_dtype(view->dtype))
    return fail("expected F32, BF16 or F16, found " +
                std::string{safetensors_dtype(view->dtype)});
  if (const auto bad = first_non_finite(*view))
    return fail("expected finite values, found NaN or infinity at element " +
                std::to_string(*bad));
  auto tensor = view->tensor();
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
  return rows.count == rows.whole ? tensor
                                  : tensor.narrow(0, rows.begin, rows.count);
}

std::vector<std::filesystem::path> checkpoint::files() const {
  std::set<std::filesystem::path> files;
  for (const auto& [name, view] : tensors_) files.insert(view.file);
  return {files.begin(), files.end()};
}

}  // namespace t2
