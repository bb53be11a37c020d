#include "model/linear_weight.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/clone.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <c10/core/Scalar.h>

#include <algorithm>
#include <bit>

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

// oneDNN compiles and keeps a kernel of about a megabyte for each number of rows
// that it meets. Of those in an octave eight are used, at most an eighth above
// what was asked, so that ragged steps neither compile for ever nor fill memory.
std::int64_t compiled_rows(std::int64_t t) {
  const auto step = static_cast<std::int64_t>(
      std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(t, 8))) /
      8);
  return (t + step - 1) / step * step;
}

// x with rows of zeros up to `rows`.
at::Tensor padded(const at::Tensor& x, std::int64_t rows) {
  return x.size(0) == rows
             ? x.contiguous()
             : at::constant_pad_nd(x, {0, 0, 0, rows - x.size(0)});
}

}  // namespace

bool multiplies_bfloat16_fast() {
  static const bool supported =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_is_mkldnn_bf16_supported", "")
          .typed<bool()>()
          .call();
  return supported;
}

linear_weight::linear_weight(const at::Tensor& w_mn)
    : out_(w_mn.size(0)),
      bytes_(w_mn.numel() * static_cast<std::int64_t>(w_mn.element_size())) {
  packed_ = w_mn.device().is_cpu() &&
            (w_mn.scalar_type() == at::kFloat || multiplies_bfloat16_fast());
  // On the CPU a copy of its own: w_mn may be the mapped file.
  weight_ = packed_                    ? pack(w_mn.contiguous())
            : w_mn.device().is_cpu() ? w_mn.clone(at::MemoryFormat::Contiguous)
                                     : w_mn.contiguous();
}

at::Tensor linear_weight::apply(const at::Tensor& x_tn) const {
  if (!packed_) return at::linear(x_tn, weight_);
  const std::int64_t t = x_tn.size(0);
  return packed_linear(padded(x_tn, compiled_rows(t)), weight_).narrow(0, 0, t);
}

at::Tensor linear_weight::apply_onto(const at::Tensor& y_tm,
                                     const at::Tensor& x_tn) const {
  if (!packed_) return at::addmm(y_tm, x_tn, weight_.t());
  const std::int64_t t = x_tn.size(0), rows = compiled_rows(t);
  return packed_linear_onto(padded(y_tm, rows), padded(x_tn, rows), weight_)
      .narrow(0, 0, t);
}

}  // namespace t2
