#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "model/adapted_linears.hpp"
#include "model/model_config.hpp"
#include "model/projection.hpp"

namespace t2 {

/// What a LoRA adapter adapts: W' = W + α/r · B A with A [r, N], B [M, r]
/// (Hu et al., arXiv 2106.09685).
struct lora_shape {
  std::int64_t rank = 16;
  double alpha = 32;
  std::vector<projection_kind> kinds{projection_kind::query,
                                     projection_kind::value};
  double scale() const { return alpha / static_cast<double>(rank); }
};

/// "q_proj,v_proj" as kinds, in the order of projection_kind, each once.
result<std::vector<projection_kind>> parse_lora_targets(std::string_view text);
/// ec::invalid_argument where the model has no such projections (an MLP without
/// a gate).
result<void> check_lora_targets(const model_config& config,
                                const lora_shape& shape);

/// Where A and B of each adapted projection lie in one flat vector.
class lora_layout {
 public:
  struct place {
    projection where;
    std::int64_t a = 0, b = 0;  // begin of A, row by row, and of B
  };
  /// The model has all of the shape's projections (check_lora_targets).
  lora_layout(const model_config& config, lora_shape shape);

  const lora_shape& shape() const { return shape_; }
  const std::vector<place>& places() const { return places_; }
  std::int64_t total() const { return total_; }
  /// The place of a projection; null where it is not adapted.
  const place* find(std::int64_t layer, projection_kind kind) const;
  /// Views into a flat vector.
  at::Tensor a_rn(const at::Tensor& values, const place& at) const;
  at::Tensor b_mr(const at::Tensor& values, const place& at) const;

 private:
  lora_shape shape_;
  std::vector<place> places_;
  std::int64_t total_ = 0;
};

/// LoRA as what is trained: the values are A and B, flat over a layout. All
/// passes run on W'; ∂L/∂B = α/r Gᵀ(XAᵀ) and ∂L/∂A = α/r (GB)ᵀX are thin
/// products. In bfloat16 a change below the rounding of W is lost.
class lora_linears : public adapted_linears {
 public:
  /// `net` must outlive it.
  lora_linears(transformer& net, std::shared_ptr<const lora_layout> layout);

  std::int64_t size() const override { return layout_->total(); }
  void set(const at::Tensor& values) override;

 protected:
  bool adapts(std::size_t linear, std::size_t part) const override;
  void accumulate(std::size_t linear, std::size_t part, const at::Tensor& x_bn,
                  const at::Tensor& g_bm) const override;

 private:
  const lora_layout::place* at_part(std::size_t linear,
                                    std::size_t part) const;

  std::shared_ptr<const lora_layout> layout_;
  at::Tensor values_;   // float32
  at::Tensor compute_;  // the same in the compute type, on the device
};

}  // namespace t2
