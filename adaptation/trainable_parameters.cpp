#include "adaptation/trainable_parameters.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "adaptation/random_stream.hpp"
#include "adaptation/svf.hpp"
#include "model/language_model.hpp"
#include "model/svf_training.hpp"
#include "model/transformer.hpp"

namespace t2 {
namespace {

// The draws of A; those of batches have the low streams.
constexpr std::uint64_t lora_stream = std::uint64_t{1} << 63;

class svf_parameters : public trainable_parameters {
 public:
  svf_parameters(const model_config& config, const training_options& options)
      : options_(options),
        layout_(std::make_shared<svf_layout>(config, options.targets)) {}

  std::int64_t size() const override { return layout_->total(); }
  at::Tensor initial() const override {
    return at::full({size()}, decay_towards(), at::kFloat);
  }
  double decay_towards() const override {
    return base_parameter(options_.parametrisation);
  }

  result<std::unique_ptr<adapted_linears>> open(
      language_model& model) override {
    auto made = svf_linears::make(model.network(), layout_);
    if (!made) return made.error();
    singular_values_ = (*made)->singular_values();
    return std::unique_ptr<adapted_linears>(*std::move(made));
  }

  result<at::Tensor> values(const at::Tensor& p) const override {
    return delta_from_z(z_from_parameter(p, options_.parametrisation),
                        singular_values_, options_.norm, *layout_);
  }

  at::Tensor gradient(const at::Tensor& of_d,
                      const at::Tensor& p) const override {
    const auto form = options_.parametrisation;
    return gradient_of_parameter(
        gradient_of_z(of_d, z_from_parameter(p, form), singular_values_,
                      options_.norm, *layout_),
        p, form);
  }

 private:
  training_options options_;
  std::shared_ptr<const svf_layout> layout_;
  at::Tensor singular_values_;
};

class lora_parameters : public trainable_parameters {
 public:
  lora_parameters(const model_config& config, const lora_shape& shape,
                  std::uint64_t seed)
      : layout_(std::make_shared<lora_layout>(config, shape)), seed_(seed) {}

  std::int64_t size() const override { return layout_->total(); }
  at::Tensor initial() const override { return initial_lora(*layout_, seed_); }
  double decay_towards() const override { return 0; }

  result<std::unique_ptr<adapted_linears>> open(
      language_model& model) override {
    return std::unique_ptr<adapted_linears>(
        std::make_unique<lora_linears>(model.network(), layout_));
  }

  result<at::Tensor> values(const at::Tensor& p) const override {
    if (!std::isfinite(p.sum().item<double>()))
      return error{ec::invalid_argument,
                   "LoRA: expected finite values, found another"};
    return p;
  }
  at::Tensor gradient(const at::Tensor& of_values,
                      const at::Tensor&) const override {
    return of_values;
  }

 private:
  std::shared_ptr<const lora_layout> layout_;
  std::uint64_t seed_;
};

}  // namespace

at::Tensor initial_lora(const lora_layout& layout, std::uint64_t seed) {
  at::Tensor out = at::zeros({layout.total()}, at::kFloat);
  random_stream random{seed, lora_stream};
  for (const auto& place : layout.places()) {
    const double bound =
        1 / std::sqrt(static_cast<double>(place.where.in_features));
    float* a = out.mutable_data_ptr<float>();
    for (auto i = place.a; i < place.b; ++i)
      a[i] = static_cast<float>(bound * (2 * random.uniform() - 1));
  }
  return out;
}

std::unique_ptr<trainable_parameters> make_trainable_parameters(
    const model_config& config, const training_options& options,
    std::uint64_t seed) {
  if (options.lora)
    return std::make_unique<lora_parameters>(config, *options.lora, seed);
  return std::make_unique<svf_parameters>(config, options);
}

}  // namespace t2
