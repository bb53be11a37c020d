#include "model/language_model.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <exception>

#include "config/first_line.hpp"
#include "model/device.hpp"
#include "model/fingerprint.hpp"
#include "model/gguf_model.hpp"
#include "model/linear_weight.hpp"
#include "model/mapped_files.hpp"
#include "model/model_text.hpp"
#include "model/model_tokens.hpp"
#include "model/transformer.hpp"

namespace t2 {
namespace {

result<c10::ScalarType> parse_dtype(const std::string& text,
                                    const stored_tensor& stored,
                                    c10::Device device) {
  if (text == "float32") return c10::kFloat;
  if (text == "bfloat16") return c10::kBFloat16;
  if (text == "auto")
    return stored.encoding == tensor_encoding::bf16 &&
                   (!device.is_cpu() || multiplies_bfloat16_fast())
               ? c10::kBFloat16
               : c10::kFloat;
  return error{ec::invalid_argument,
               "model.dtype: expected auto, float32 or bfloat16, found '" +
                   text + "'"};
}

/// One head is taken for both, so a file that has another must not load.
result<void> check_tied_head(const model_config& config,
                             const checkpoint& weights) {
  const auto head = weights.view("lm_head.weight");
  if (!config.tied_embeddings || !head) return {};
  const auto embeddings = weights.view("model.embed_tokens.weight");
  if (!embeddings) return embeddings.error();
  if (head->type == embeddings->type && head->shape == embeddings->shape &&
      std::ranges::equal(head->bytes, embeddings->bytes))
    return {};
  return error{ec::incompatible,
               head->file.string() +
                   ": tensor 'lm_head.weight': expected the embeddings "
                   "(tie_word_embeddings is true), found other values"};
}

}  // namespace

language_model::language_model(model_config config, checkpoint weights)
    : config_(std::move(config)), checkpoint_(std::move(weights)) {}
language_model::~language_model() = default;

result<std::shared_ptr<language_model>> language_model::load(
    const model_options& options) {
  const auto device = open_device(options.device);
  if (!device) return device.error();
  auto config = read_model_config(options.folder);
  if (!config) return config.error();
  auto weights = checkpoint::open(options.folder);
  if (!weights) return weights.error();
  weights = weights->named_for(*config);
  if (auto tied = check_tied_head(*config, *weights); !tied)
    return tied.error();
  auto model = std::shared_ptr<language_model>(
      new language_model{*std::move(config), *std::move(weights)});
  const auto place = std::filesystem::weakly_canonical(options.folder);
  model->name_ = is_gguf(place) ? place.stem() : place.filename();
  model->device_ = *device;

  const auto stored = model->checkpoint_.view("model.embed_tokens.weight");
  if (!stored) return stored.error();
  const auto dtype = parse_dtype(options.dtype, *stored, *device);
  if (!dtype) return dtype.error();
  model->dtype_ = *dtype;

  auto text = load_model_text(options.folder);
  if (!text) return text.error();
  if (*text) {
    model->tokenizer_ = std::move((*text)->words);
    join_special_tokens(model->config_, (*text)->special, *model->tokenizer_,
                        options.folder.string());
    model->chat_template_ = std::move((*text)->chat);
    if (auto& chat = model->chat_template_)
      if (auto set = chat->set_defaults(options.template_variables); !set)
        return set.error();
    if (auto fits = check_vocabulary(model->config_, *model->tokenizer_,
                                     (*text)->label);
        !fits)
      return fits.error();
  }
  auto fingerprint = fingerprint_base(model->checkpoint_, model->config_,
                                      options.svd_cache);
  if (!fingerprint) return fingerprint.error();
  model->fingerprint_ = *std::move(fingerprint);
  auto svd = svd_cache::open(options.svd_cache, model->fingerprint_);
  if (!svd) return svd.error();
  model->svd_ = *std::move(svd);
  try {
    auto network =
        transformer::load(model->config_, model->checkpoint_, *model->svd_,
                          model->dtype_, model->device_, options.backend);
    if (!network) return network.error();
    model->network_ = *std::move(network);
  } catch (const std::exception& e) {
    // No room for the weights, or a device's refusal: its first line.
    return error{ec::unavailable, "model: expected to load " + model->name_ +
                                      " on " + model->device_.str() +
                                      ", found: " + first_line(e.what())};
  }
  give_back_memory();
  return model;
}

result<void> language_model::decompose(
    const svf_layout& layout,
    const std::function<bool(std::size_t, std::size_t)>& progress) const {
  return svd_->fill(checkpoint_, layout.projections(), progress);
}

result<at::Tensor> language_model::singular_values(
    const svf_layout& layout) const {
  auto s = at::empty({layout.total()}, at::kFloat);
  for (std::size_t p = 0; p < layout.size(); ++p) {
    const auto& where = layout.projections()[p];
    const auto factors = svd_->load_or_compute(checkpoint_, where);
    if (!factors) return factors.error();
    s.narrow(0, layout.offset(p), where.rank()).copy_(factors->s_r);
  }
  return s;
}

}  // namespace t2
