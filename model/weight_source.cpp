#include "model/weight_source.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <set>
#include <utility>

#include "model/gguf_model.hpp"
#include "weights/block_codec.hpp"

namespace t2 {
namespace {

std::optional<at::ScalarType> plain_type(tensor_encoding encoding) {
  switch (encoding) {
    case tensor_encoding::f32: return at::kFloat;
    case tensor_encoding::f16: return at::kHalf;
    case tensor_encoding::bf16: return at::kBFloat16;
    default: return std::nullopt;
  }
}

}  // namespace

at::Tensor decode(const stored_tensor& tensor) {
  if (const auto type = plain_type(*tensor.encoding))
    return at::from_blob(const_cast<std::byte*>(tensor.bytes.data()),
                         tensor.shape, [owner = tensor.owner](void*) {},
                         at::TensorOptions().dtype(*type));
  auto values = at::empty(tensor.shape, at::kFloat);
  decode_blocks(*tensor.encoding, tensor.bytes,
                {values.mutable_data_ptr<float>(),
                 static_cast<std::size_t>(values.numel())});
  return values;
}

weight_source::weight_source(std::vector<stored_tensor> tensors)
    : tensors_(std::move(tensors)) {
  std::ranges::sort(tensors_, {}, &stored_tensor::name);
}

const stored_tensor* weight_source::find(std::string_view name) const {
  const auto at = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const stored_tensor& a, std::string_view b) { return a.name < b; });
  return at == tensors_.end() || at->name != name ? nullptr : &*at;
}

std::vector<std::filesystem::path> weight_source::files() const {
  std::set<std::filesystem::path> files;
  for (const auto& tensor : tensors_) files.insert(tensor.file);
  return {files.begin(), files.end()};
}

result<std::shared_ptr<const weight_source>> open_weights(
    const std::filesystem::path& path) {
  return is_gguf(path) ? open_gguf_weights(path)
                       : open_hugging_face_weights(path);
}

}  // namespace t2
