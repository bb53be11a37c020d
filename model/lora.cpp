#include "model/lora.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <array>
#include <string>

#include "model/transformer.hpp"

namespace t2 {
namespace {

constexpr std::size_t kinds_of_layer = 7;

}  // namespace


result<std::vector<projection_kind>> parse_lora_targets(
    std::string_view text) {
  std::array<bool, kinds_of_layer> chosen{};
  for (auto rest = text;;) {
    const auto comma = rest.find(',');
    const auto name = rest.substr(0, comma);
    std::size_t i = 0;
    while (i < chosen.size() &&
           to_string(static_cast<projection_kind>(i)) != name)
      ++i;
    if (i == chosen.size())
      return error{ec::invalid_argument,
                   "lora_targets: expected q_proj, k_proj, v_proj, o_proj, "
                   "gate_proj, up_proj and down_proj between commas, found '" +
                       std::string{text} + "'"};
    chosen[i] = true;
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::vector<projection_kind> kinds;
  for (std::size_t i = 0; i < chosen.size(); ++i)
    if (chosen[i]) kinds.push_back(static_cast<projection_kind>(i));
  return kinds;
}

result<void> check_lora_targets(const model_config& config,
                                const lora_shape& shape) {
  const svf_layout all{config, svf_targets::all};
  for (const auto kind : shape.kinds)
    if (all.find(0, kind) < 0)
      return error{ec::invalid_argument,
                   "lora_targets: expected projections that " +
                       config.model_type + " has, found '" +
                       std::string{to_string(kind)} + "'"};
  return {};
}

lora_layout::lora_layout(const model_config& config, lora_shape shape)
    : shape_(std::move(shape)) {
  const svf_layout all{config, svf_targets::all};
  for (std::int64_t l = 0; l < config.layers; ++l)
    for (const auto kind : shape_.kinds) {
      const auto& p =
          all.projections()[static_cast<std::size_t>(all.find(l, kind))];
      const auto a = total_, b = a + shape_.rank * p.in_features;
      total_ = b + shape_.rank * p.out_features;
      places_.push_back({p, a, b});
    }
}

const lora_layout::place* lora_layout::find(std::int64_t layer,
                                            projection_kind kind) const {
  for (const auto& p : places_)
    if (p.where.layer == layer && p.where.kind == kind) return &p;
  return nullptr;
}

at::Tensor lora_layout::a_rn(const at::Tensor& values, const place& at) const {
  const auto n = at.where.in_features;
  return values.narrow(0, at.a, shape_.rank * n).view({shape_.rank, n});
}

at::Tensor lora_layout::b_mr(const at::Tensor& values, const place& at) const {
  const auto m = at.where.out_features;
  return values.narrow(0, at.b, shape_.rank * m).view({m, shape_.rank});
}

lora_linears::lora_linears(transformer& net,
                           std::shared_ptr<const lora_layout> layout)
    : adapted_linears(net, layout->total()), layout_(std::move(layout)) {
  set(at::zeros({layout_->total()}, at::kFloat));
}

const lora_layout::place* lora_linears::at_part(std::size_t linear,
                                                std::size_t part) const {
  const auto& where = net_.linears()[linear].parts()[part];
  return layout_->find(where.layer, where.kind);
}

bool lora_linears::adapts(std::size_t linear, std::size_t part) const {
  return at_part(linear, part) != nullptr;
}

void lora_linears::set(const at::Tensor& values) {
  const c10::InferenceMode off{false};
  const at::NoGradGuard no_gradient;
  values_ = values.to(net_.device()).clone();
  compute_ = values_.to(net_.dtype());
  const auto& linears = net_.linears();
  for (std::size_t i = 0; i < linears.size(); ++i) {
    bool any = false;
    std::vector<at::Tensor> parts;
    for (std::size_t p = 0; p < linears[i].parts().size(); ++p)
      any |= at_part(i, p) != nullptr;
    if (!any) continue;
    for (std::size_t p = 0; p < linears[i].parts().size(); ++p) {
      const auto* at = at_part(i, p);
      auto weight = linears[i].decode(p);
      if (at)
        weight = at::addmm(weight.to(at::kFloat), layout_->b_mr(values_, *at),
                           layout_->a_rn(values_, *at), 1,
                           layout_->shape().scale());
      parts.push_back(weight.to(net_.dtype()));
    }
    replace(i, at::cat(parts, 0));
  }
}

void lora_linears::accumulate(std::size_t linear, std::size_t part,
                              const at::Tensor& x_bn,
                              const at::Tensor& g_bm) const {
  const auto* at = at_part(linear, part);
  const auto scale = layout_->shape().scale();
  const auto a_rn = layout_->a_rn(compute_, *at);
  const auto b_mr = layout_->b_mr(compute_, *at);
  layout_->b_mr(gradient_, *at)
      .add_(at::mm(g_bm.t(), at::mm(x_bn, a_rn.t())).to(at::kFloat), scale);
  layout_->a_rn(gradient_, *at)
      .add_(at::mm(at::mm(g_bm, b_mr).t(), x_bn).to(at::kFloat), scale);
}

}  // namespace t2
