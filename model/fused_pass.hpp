#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/adapted_linears.hpp"
#include "model/decoder_block.hpp"
#include "model/dense_kernels.hpp"
#include "text/tokenizer.hpp"

namespace t2 {

class transformer;

/// What hidden_states() and its backward compute for adapted linears, written
/// out over rows behind each other, without padding between them, with the
/// fused loops of dense_kernels. Buffers stay for the next pass. The engine's
/// thread.
class fused_pass {
 public:
  /// Llama's block on the CPU, without a window, hidden and intermediate
  /// multiples of 16.
  static bool supports(transformer& net);
  explicit fused_pass(transformer& net) : net_(net) {}

  /// Hidden states after the last norm, [T, H] in the compute type; `linears`
  /// null: of the base. Valid until the next call.
  const at::Tensor& forward(std::span<const token_id> tokens,
                            std::span<const dense_kernels::document_span> rows,
                            const adapted_linears* linears);
  /// After forward() of the same rows and linears: adds to the linears'
  /// gradient. g_th: of what forward() returned.
  void backward(const at::Tensor& g_th,
                std::span<const dense_kernels::document_span> rows,
                const adapted_linears& linears);

 private:
  // Letters as in dense_kernels.hpp.
  struct record {
    at::Tensor x_th, scale_t, normed_th;              // attention's norm
    at::Tensor qkv_tn, log_sum_tq, attended_tq;
    at::Tensor mlp_x_th, mlp_scale_t, mlp_normed_th;  // the MLP's norm
    at::Tensor gate_up_t2i, activated_ti;
  };
  void make_room(std::int64_t tokens);
  const layer_norms& norms(std::int64_t layer) const;
  /// The pass's part of a buffer.
  at::Tensor of_pass(const at::Tensor& buffer) const;

  transformer& net_;
  std::int64_t tokens_ = 0;  // of the pass
  std::int64_t room_ = 0;    // tokens that the buffers hold
  std::vector<record> buffers_, layers_;  // whole, and the pass's part
  std::vector<at::Tensor> others_;        // whole
  at::Tensor x_th_, scale_t_, normed_th_;  // the last norm
  at::Tensor dx_th_, dx_copy_th_, d_attended_tq_, d_qkv_tn_, no_norm_h_;
};

}  // namespace t2
