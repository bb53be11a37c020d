#include "adaptation/adamw.hpp"

#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace t2 {

adamw_state make_adamw_state(at::Tensor parameter) {
  adamw_state state;
  state.parameter = parameter.contiguous().clone();
  state.first_moment = at::zeros_like(state.parameter);
  state.second_moment = at::zeros_like(state.parameter);
  return state;
}

// A plain loop: z is small, and its sums then cannot depend on how a library
// splits them between threads.
void adamw_step(adamw_state& state, const at::Tensor& gradient,
                double learning_rate, const adamw_options& options) {
  ++state.steps;
  const auto t = static_cast<double>(state.steps);
  const double bias1 = 1 - std::pow(options.beta1, t);
  const double bias2 = 1 - std::pow(options.beta2, t);
  const at::Tensor flat = gradient.contiguous();
  const float* g = flat.const_data_ptr<float>();
  float* p = state.parameter.mutable_data_ptr<float>();
  float* m = state.first_moment.mutable_data_ptr<float>();
  float* v = state.second_moment.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    const double gi = double{g[i]};
    const double mi = options.beta1 * double{m[i]} + (1 - options.beta1) * gi;
    const double vi =
        options.beta2 * double{v[i]} + (1 - options.beta2) * gi * gi;
    double x = double{p[i]};
    x -= learning_rate * options.weight_decay * (x - options.decay_towards);
    x -= learning_rate * (mi / bias1) /
         (std::sqrt(vi / bias2) + options.epsilon);
    p[i] = static_cast<float>(x);
    m[i] = static_cast<float>(mi);
    v[i] = static_cast<float>(vi);
  }
}

double learning_rate_at(std::int64_t step, std::int64_t steps, double peak,
                        double warmup) {
  const double at = static_cast<double>(step), end = static_cast<double>(steps);
  const double rise = warmup * end;
  if (at < rise) return peak * (at + 1) / (rise + 1);
  const double rest = std::max(1.0, end - rise);
  return peak * 0.5 *
         (1 + std::cos(std::numbers::pi * std::min(1.0, (at - rise) / rest)));
}

double clip_gradient(at::Tensor& gradient, double limit) {
  gradient = gradient.contiguous();
  float* g = gradient.mutable_data_ptr<float>();
  double squares = 0;
  for (std::int64_t i = 0; i < gradient.numel(); ++i)
    squares += double{g[i]} * double{g[i]};
  const double norm = std::sqrt(squares);
  if (limit > 0 && norm > limit) {
    const double scale = limit / norm;
    for (std::int64_t i = 0; i < gradient.numel(); ++i)
      g[i] = static_cast<float>(double{g[i]} * scale);
  }
  return norm;
}

}  // namespace t2
