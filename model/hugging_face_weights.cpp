#include <algorithm>
#include <map>
#include <utility>

#include "model/architecture.hpp"
#include "model/json_file.hpp"
#include "model/safetensors.hpp"
#include "model/weight_source.hpp"

namespace t2 {
namespace {

std::optional<tensor_encoding> encoding_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat: return tensor_encoding::f32;
    case at::kHalf: return tensor_encoding::f16;
    case at::kBFloat16: return tensor_encoding::bf16;
    default: return std::nullopt;
  }
}

stored_tensor stored(const tensor_view& view) {
  return {.name = view.name,
          .type = safetensors_dtype(view.dtype),
          .encoding = encoding_of(view.dtype),
          .shape = view.shape,
          .bytes = view.bytes,
          .owner = view.owner,
          .file = view.file};
}

class hugging_face_weights : public weight_source {
 public:
  explicit hugging_face_weights(std::vector<stored_tensor> tensors)
      : weight_source(std::move(tensors)) {}

  weight_names names(const model_config& config) const override {
    const auto* family = find_architecture(config.model_type);
    return family && family->names ? family->names() : weight_names{};
  }
};

/// A file of the folder itself: no separators, no "..", no hidden names.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.front() != '.' &&
         name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

result<std::vector<stored_tensor>> read_shards(
    const std::filesystem::path& index) {
  const auto json = read_json_file(index);
  if (!json) return json.error();
  const auto fail = [&](const std::string& why) {
    return error{ec::corrupt, index.string() + ": " + why};
  };
  const auto weights = json->find("weight_map");
  if (weights == json->end() || !weights->is_object())
    return fail("weight_map: expected an object, found none");

  const auto folder = index.parent_path();
  std::map<std::string, safetensors_file> shards;
  std::vector<stored_tensor> tensors;
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
      auto file = safetensors_file::open(folder / name);
      if (!file) return file.error();
      at = shards.emplace(name, std::move(*file)).first;
    }
    const auto& views = at->second.tensors();
    const auto view = std::lower_bound(
        views.begin(), views.end(), tensor,
        [](const tensor_view& a, const std::string& b) { return a.name < b; });
    if (view == views.end() || view->name != tensor)
      return error{ec::corrupt, (folder / name).string() +
                                    ": expected a tensor '" + tensor +
                                    "' (by the index), found none"};
    tensors.push_back(stored(*view));
  }
  return tensors;
}

}  // namespace

result<std::shared_ptr<const weight_source>> open_hugging_face_weights(
    const std::filesystem::path& folder) {
  const auto single = folder / "model.safetensors";
  const auto index = folder / "model.safetensors.index.json";
  std::error_code ignored;
  std::vector<stored_tensor> tensors;
  if (std::filesystem::exists(single, ignored)) {
    const auto file = safetensors_file::open(single);
    if (!file) return file.error();
    for (const auto& view : file->tensors()) tensors.push_back(stored(view));
  } else if (std::filesystem::exists(index, ignored)) {
    auto read = read_shards(index);
    if (!read) return read.error();
    tensors = *std::move(read);
  } else {
    return error{ec::not_found,
                 folder.string() +
                     ": expected model.safetensors or "
                     "model.safetensors.index.json, found neither"};
  }
  return std::shared_ptr<const weight_source>(
      std::make_shared<hugging_face_weights>(std::move(tensors)));
}

}  // namespace t2
