#pragma once

#include "model/kernels.hpp"

namespace t2::kernels {

/// Compositions of ATen operators: any device, any floating type.
class reference_backend : public backend {
 public:
  at::Tensor add_rms_norm(at::Tensor& residual_th, const at::Tensor& update_th,
                          const at::Tensor& weight_h, double epsilon,
                          at::ScalarType out) const override;
  at::Tensor add_layer_norm(at::Tensor& residual_th,
                            const at::Tensor& update_th,
                            const at::Tensor& weight_h,
                            const at::Tensor& bias_h, double epsilon,
                            at::ScalarType out) const override;
  void norm_groups(at::Tensor& x_tn, std::int64_t begin, std::int64_t groups,
                   const at::Tensor& weight, double epsilon) const override;
  at::Tensor activate(const at::Tensor& x, activation_kind kind) const override;
  at::Tensor gated(const at::Tensor& gate_up_t2i,
                   activation_kind kind) const override;
  void scale_rows(at::Tensor& p_tr, const at::Tensor& d_gr,
                  const at::Tensor& shift_r,
                  std::span<const std::int32_t> row) const override;
  std::unique_ptr<kv_store> make_store(const model_config& config,
                                       at::ScalarType dtype, c10::Device device,
                                       std::int64_t pages) const override;
  void rotate_and_store(at::Tensor& qkv_tn, const step_pages& pages,
                        const rotary_table& rotary, std::int64_t layer,
                        std::int64_t heads,
                        std::int64_t kv_heads) const override;
  at::Tensor attend(const at::Tensor& qkv_tn, const step_pages& pages,
                    std::int64_t layer, std::int64_t heads,
                    std::int64_t kv_heads,
                    const attention_rule& rule) const override;
};

/// Fused loops over float32 or bfloat16 rows in the CPU's memory. Operations
/// without a loop of their own are the reference's.
class cpu_backend : public reference_backend {
 public:
  at::Tensor add_rms_norm(at::Tensor& residual_th, const at::Tensor& update_th,
                          const at::Tensor& weight_h, double epsilon,
                          at::ScalarType out) const override;
  void norm_groups(at::Tensor& x_tn, std::int64_t begin, std::int64_t groups,
                   const at::Tensor& weight, double epsilon) const override;
  at::Tensor gated(const at::Tensor& gate_up_t2i,
                   activation_kind kind) const override;
  void scale_rows(at::Tensor& p_tr, const at::Tensor& d_gr,
                  const at::Tensor& shift_r,
                  std::span<const std::int32_t> row) const override;
  std::unique_ptr<kv_store> make_store(const model_config& config,
                                       at::ScalarType dtype, c10::Device device,
                                       std::int64_t pages) const override;
  void rotate_and_store(at::Tensor& qkv_tn, const step_pages& pages,
                        const rotary_table& rotary, std::int64_t layer,
                        std::int64_t heads,
                        std::int64_t kv_heads) const override;
  at::Tensor attend(const at::Tensor& qkv_tn, const step_pages& pages,
                    std::int64_t layer, std::int64_t heads,
                    std::int64_t kv_heads,
                    const attention_rule& rule) const override;
};

}  // namespace t2::kernels
