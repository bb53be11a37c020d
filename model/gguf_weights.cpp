#include <utility>

#include "model/gguf_family.hpp"
#include "model/gguf_model.hpp"
#include "model/weight_source.hpp"

namespace t2 {
namespace {

/// Quantised blocks stay as they lie in the file; whoever asks for a weight
/// decodes them.
class gguf_weights : public weight_source {
 public:
  gguf_weights(std::vector<stored_tensor> tensors, std::string architecture)
      : weight_source(std::move(tensors)),
        architecture_(std::move(architecture)) {}

  weight_names names(const model_config&) const override {
    const auto* family = find_gguf_family(architecture_);
    return family ? weight_names{family->names} : weight_names{};
  }

 private:
  std::string architecture_;
};

}  // namespace

result<std::shared_ptr<const weight_source>> open_gguf_weights(
    const std::filesystem::path& file) {
  const auto model = gguf_model::open(file);
  if (!model) return model.error();
  std::vector<stored_tensor> tensors;
  for (const auto& part : model->parts())
    for (const auto& tensor : part.file.tensors())
      tensors.push_back({.name = std::string{tensor.name},
                         .type = traits(tensor.encoding).name,
                         .encoding = tensor.encoding,
                         .shape = tensor.shape,
                         .bytes = tensor.bytes,
                         .owner = part.mapping,
                         .file = part.path});
  return std::shared_ptr<const weight_source>(std::make_shared<gguf_weights>(
      std::move(tensors), std::string{model->architecture()}));
}

}  // namespace t2
