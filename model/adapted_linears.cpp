#include "model/adapted_linears.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/transformer.hpp"

namespace t2 {
namespace {

/// The outputs of a linear's parts, as views.
std::vector<at::Tensor> split(const svf_linear& linear, const at::Tensor& y) {
  std::vector<at::Tensor> out;
  std::int64_t begin = 0;
  for (const auto& part : linear.parts()) {
    out.push_back(y.narrow(1, begin, part.where.out_features));
    begin += part.where.out_features;
  }
  return out;
}

}  // namespace

/// y = x W'ᵀ + bias of a linear's parts. Its backward hands each adapted part
/// its rows and never forms a gradient of W'.
struct adapted_linears::recorded : torch::autograd::Function<recorded> {
  static torch::autograd::variable_list forward(
      torch::autograd::AutogradContext* context, const at::Tensor& x_bn,
      std::int64_t owner, std::int64_t index) {
    context->save_for_backward({x_bn});
    context->saved_data["owner"] = owner;
    context->saved_data["index"] = index;
    const auto& of = *reinterpret_cast<const adapted_linears*>(owner);
    const auto i = static_cast<std::size_t>(index);
    return split(of.net_.linears()[i], of.run(i, x_bn));
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      const torch::autograd::variable_list& gradients) {
    const auto& of = *reinterpret_cast<const adapted_linears*>(
        context->saved_data["owner"].toInt());
    const auto i =
        static_cast<std::size_t>(context->saved_data["index"].toInt());
    const auto x_bn = context->get_saved_variables()[0];
    const auto g_bm = gradients.size() == 1 ? gradients[0].contiguous()
                                            : at::cat(gradients, 1);
    return {of.run_backward(i, x_bn, g_bm), at::Tensor{}, at::Tensor{}};
  }
};

adapted_linears::adapted_linears(transformer& net, std::int64_t size)
    : net_(net),
      gradient_(at::zeros(
          {size},
          at::TensorOptions().dtype(at::kFloat).device(net.device()))) {
  for (const auto& linear : net.linears()) {
    const auto plain = linear.plain();
    weight_mn_.push_back(plain.size() == 1 ? plain.front().contiguous()
                                           : at::cat(plain, 0));
    dense_.emplace_back();
    adapted_.push_back(false);
  }
}

adapted_linears::~adapted_linears() = default;

void adapted_linears::replace(std::size_t linear,
                              const at::Tensor& weight_mn) {
  weight_mn_[linear] = weight_mn;
  dense_[linear] = linear_weight{weight_mn};
  adapted_[linear] = true;
}

at::Tensor adapted_linears::run(std::size_t linear,
                                const at::Tensor& x_bn) const {
  const auto& of = net_.linears()[linear];
  return adapted_[linear] ? of.apply_dense(x_bn, dense_[linear])
                          : of.apply_base(x_bn);
}

at::Tensor adapted_linears::run_backward(std::size_t linear,
                                         const at::Tensor& x_bn,
                                         const at::Tensor& g_bm) const {
  const auto of_parts = split(net_.linears()[linear], g_bm);
  for (std::size_t p = 0; p < of_parts.size(); ++p)
    if (adapts(linear, p)) accumulate(linear, p, x_bn, of_parts[p]);
  return at::mm(g_bm, weight_mn_[linear]);
}

at::Tensor adapted_linears::gradient() const {
  return gradient_.to(at::kCPU).clone();
}

std::vector<at::Tensor> adapted_linears::apply_all(
    std::int64_t layer, std::span<const projection_kind> kinds,
    const at::Tensor& x_bn) const {
  return recorded::apply(
      x_bn, reinterpret_cast<std::int64_t>(this),
      static_cast<std::int64_t>(transformer::linear_of(layer, kinds.front())));
}

at::Tensor adapted_linears::apply(std::int64_t layer, projection_kind kind,
                                  const at::Tensor& x_bn) const {
  auto parts = apply_all(layer, {&kind, 1}, x_bn);
  const auto& linear = net_.linears()[transformer::linear_of(layer, kind)];
  return parts[static_cast<std::size_t>(kind) -
               static_cast<std::size_t>(linear.first_kind())];
}

std::vector<at::Tensor> base_linears::apply_all(
    std::int64_t layer, std::span<const projection_kind> kinds,
    const at::Tensor& x_bn) const {
  const auto& linear =
      net_.linears()[transformer::linear_of(layer, kinds.front())];
  return split(linear, linear.apply_base(x_bn));
}

at::Tensor base_linears::apply(std::int64_t layer, projection_kind kind,
                               const at::Tensor& x_bn) const {
  auto parts = apply_all(layer, {&kind, 1}, x_bn);
  const auto& linear = net_.linears()[transformer::linear_of(layer, kind)];
  return parts[static_cast<std::size_t>(kind) -
               static_cast<std::size_t>(linear.first_kind())];
}

}  // namespace t2
