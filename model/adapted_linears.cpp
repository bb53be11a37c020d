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
    out.push_back(y.narrow(1, begin, part.out_features));
    begin += part.out_features;
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
  const auto count = net.linears().size();
  // The base's head is differentiated by the loss, with a copy of its own.
  for (std::size_t i = 0; i + 1 < count; ++i)
    weight_mn_.push_back(net.linears()[i].plain());
  weight_mn_.emplace_back();
  dense_.linears.resize(count);
}

adapted_linears::~adapted_linears() = default;

void adapted_linears::replace(std::size_t linear,
                              const at::Tensor& weight_mn) {
  weight_mn_[linear] = weight_mn;
  dense_.linears[linear] = linear_weight{weight_mn};
}

void adapted_linears::head_backward(const at::Tensor& hidden_ah,
                                    const at::Tensor& d_logits_av) const {
  const auto head = net_.linears().size() - 1;
  if (adapts(head, 0)) accumulate(head, 0, hidden_ah, d_logits_av);
}

at::Tensor adapted_linears::run(std::size_t linear,
                                const at::Tensor& x_bn) const {
  const auto& of = net_.linears()[linear];
  const auto& dense = dense_.linears[linear];
  return dense.defined() ? of.apply_dense(x_bn, dense) : of.apply_base(x_bn);
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
      static_cast<std::int64_t>(net_.linear_of(layer, kinds.front())));
}

at::Tensor adapted_linears::apply(std::int64_t layer, projection_kind kind,
                                  const at::Tensor& x_bn) const {
  auto parts = apply_all(layer, {&kind, 1}, x_bn);
  return parts[net_.linears()[net_.linear_of(layer, kind)].part_of(kind)];
}

std::vector<at::Tensor> base_linears::apply_all(
    std::int64_t layer, std::span<const projection_kind> kinds,
    const at::Tensor& x_bn) const {
  const auto& linear =
      net_.linears()[net_.linear_of(layer, kinds.front())];
  return split(linear, linear.apply_base(x_bn));
}

at::Tensor base_linears::apply(std::int64_t layer, projection_kind kind,
                               const at::Tensor& x_bn) const {
  auto parts = apply_all(layer, {&kind, 1}, x_bn);
  return parts[net_.linears()[net_.linear_of(layer, kind)].part_of(kind)];
}

}  // namespace t2
