#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace t2 {

struct adamw_options {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double decay_towards = 0;  // what weight decay pulls the parameter to
};

/// AdamW (Loshchilov & Hutter) on one flat float32 parameter. The state is all
/// there is to resume from.
struct adamw_state {
  at::Tensor parameter;
  at::Tensor first_moment;
  at::Tensor second_moment;
  std::int64_t steps = 0;
};

adamw_state make_adamw_state(at::Tensor parameter);

/// One update in place.
void adamw_step(adamw_state& state, const at::Tensor& gradient,
                double learning_rate, const adamw_options& options);

/// Linear warmup over warmup · steps, then a cosine down to 0 at `steps`.
double learning_rate_at(std::int64_t step, std::int64_t steps, double peak,
                        double warmup);

/// Scales `gradient` in place to a norm of at most `limit` (0: not at all) and
/// returns the norm it had.
double clip_gradient(at::Tensor& gradient, double limit);

}  // namespace t2
