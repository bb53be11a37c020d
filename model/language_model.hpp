#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "config/result.hpp"
#include "model/checkpoint.hpp"
#include "model/model_config.hpp"
#include "model/projection.hpp"
#include "model/svd_cache.hpp"
#include "text/chat_template.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

namespace kernels {
class backend;
}

struct model_options {
  std::filesystem::path folder;     // Hugging Face's, or a GGUF file
  std::string device = "cpu";       // cpu, cuda, cuda:N
  std::string dtype = "auto";       // auto, float32, bfloat16
  std::filesystem::path svd_cache;  // folder of all SVD caches
  /// A JSON object for the chat template (text/chat_template.hpp), or nothing.
  std::string template_variables = {};
  /// Null: the one for the device and type. Others are for tests.
  const kernels::backend* backend = nullptr;
};

class transformer;

/// A base model: what its directory or file holds, its transformer on the device, and
/// its SVD cache. One per process; the transformer belongs to the engine's
/// thread, the rest is immutable.
class language_model {
 public:
  static result<std::shared_ptr<language_model>> load(
      const model_options& options);
  ~language_model();

  const model_config& config() const { return config_; }
  const checkpoint& weights() const { return checkpoint_; }
  /// Null where the model has no tokenizer (ids in, ids out).
  const std::shared_ptr<const tokenizer>& text() const { return tokenizer_; }
  const std::optional<chat_template>& chat() const { return chat_template_; }
  const std::string& fingerprint() const { return fingerprint_; }
  const std::string& name() const { return name_; }  // the folder's, or the file's stem
  c10::Device device() const { return device_; }
  c10::ScalarType dtype() const { return dtype_; }

  /// Computes what is missing of the SVD of the layout's projections.
  /// `progress(done, total)` returns false to stop (ec::cancelled).
  result<void> decompose(
      const svf_layout& layout,
      const std::function<bool(std::size_t, std::size_t)>& progress) const;
  /// Singular values of the layout's projections, float32 [layout.total()];
  /// decomposes what the cache lacks.
  result<at::Tensor> singular_values(const svf_layout& layout) const;
  const svd_cache& decompositions() const { return *svd_; }

  transformer& network() { return *network_; }

 private:
  language_model(model_config config, checkpoint weights);
  model_config config_;
  checkpoint checkpoint_;
  std::shared_ptr<const tokenizer> tokenizer_;
  std::optional<chat_template> chat_template_;
  std::string fingerprint_;
  std::string name_;
  c10::Device device_{c10::kCPU};
  c10::ScalarType dtype_ = c10::kFloat;
  std::optional<svd_cache> svd_;
  std::unique_ptr<transformer> network_;
};

}  // namespace t2
