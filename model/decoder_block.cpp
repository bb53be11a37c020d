#include "model/decoder_block.hpp"

#include <ATen/ATen.h>

namespace t2 {
namespace {

at::Tensor attention(block_operations& ops, std::int64_t layer,
                     const layer_norms& norms, const at::Tensor& x_th) {
  const auto out = ops.attention_output(layer, ops.attend(layer, x_th));
  return norms.attention_output.weight.defined()
             ? ops.norm(out, norms.attention_output)
             : out;
}

at::Tensor mlp(block_operations& ops, std::int64_t layer,
               const layer_norms& norms, const at::Tensor& x_th) {
  const auto out = ops.mlp(layer, x_th);
  return norms.mlp_output.weight.defined() ? ops.norm(out, norms.mlp_output)
                                           : out;
}

}  // namespace

void run_layers(const model_config& config, const decoder_weights& weights,
                block_operations& ops, residual_stream& stream) {
  auto& [residual, update] = stream;
  for (std::int64_t l = 0; l < config.layers; ++l) {
    const auto& norms = weights.layers[static_cast<std::size_t>(l)];
    const auto in = ops.add_norm(residual, update, norms.attention);
    if (config.block.parallel) {
      const auto mlp_in = ops.add_norm(residual, {}, norms.mlp);
      update = attention(ops, l, norms, in) + mlp(ops, l, norms, mlp_in);
    } else {
      update = attention(ops, l, norms, in);
      update = mlp(ops, l, norms, ops.add_norm(residual, update, norms.mlp));
    }
  }
}

}  // namespace t2
