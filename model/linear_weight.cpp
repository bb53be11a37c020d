#include "model/linear_weight.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>
#include <c10/core/Scalar.h>

namespace t2 {
namespace {

at::Tensor pack(const at::Tensor& w) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
          .typed<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>();
  return op.call(w, std::nullopt);
}

at::Tensor packed_linear(const at::Tensor& x, const at::Tensor& w) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
          .typed<at::Tensor(const at::Tensor&, const at::Tensor&,
                            const std::optional<at::Tensor>&, std::string_view,
                            c10::List<std::optional<at::Scalar>>,
                            std::optional<std::string_view>)>();
  return op.call(x, w, std::nullopt, "none",
                 c10::List<std::optional<at::Scalar>>{}, std::nullopt);
}

at::Tensor packed_linear_onto(const at::Tensor& y, const at::Tensor& x,
                              const at::Tensor& w) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_linear_pointwise", "binary")
          .typed<at::Tensor(const at::Tensor&, const at::Tensor&,
                            const at::Tensor&, const std::optional<at::Tensor>&,
                            std::string_view)>();
  return op.call(x, y, w, std::nullopt, "add");
}

}  // namespace

linear_weight::linear_weight(const at::Tensor& w_mn)
    : out_(w_mn.size(0)),
      bytes_(w_mn.numel() * static_cast<std::int64_t>(w_mn.element_size())) {
  packed_ = w_mn.device().is_cpu();
  weight_ = packed_ ? pack(w_mn.contiguous()) : w_mn.contiguous();
}

at::Tensor linear_weight::apply(const at::Tensor& x_tn) const {
  return packed_ ? packed_linear(x_tn.contiguous(), weight_)
                 : at::linear(x_tn, weight_);
}

at::Tensor linear_weight::apply_onto(const at::Tensor& y_tm,
                                     const at::Tensor& x_tn) const {
  return packed_ ? packed_linear_onto(y_tm.contiguous(), x_tn.contiguous(),
                                      weight_)
                 : at::addmm(y_tm, x_tn, weight_.t());
}

}  // namespace t2
