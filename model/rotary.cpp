#include "model/rotary.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace t2 {
namespace {

/// Llama 3: wavelengths beyond the original context are stretched by
/// `factor`, short ones kept, those between interpolated.
double scaled(double frequency, const llama3_rope_scaling& s) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const auto context = static_cast<double>(s.original_max_positions);
  if (wavelength < context / s.high_frequency_factor) return frequency;
  if (wavelength > context / s.low_frequency_factor)
    return frequency / s.factor;
  const double smooth = (context / wavelength - s.low_frequency_factor) /
                        (s.high_frequency_factor - s.low_frequency_factor);
  return (1 - smooth) * frequency / s.factor + smooth * frequency;
}

/// YaRN (arXiv 2309.00071): the pair of which that turns `turns` times within
/// the original context.
double pair_that_turns(double turns, double theta, std::int64_t dims,
                       std::int64_t context) {
  return static_cast<double>(dims) *
         std::log(static_cast<double>(context) /
                  (turns * 2 * std::numbers::pi)) /
         (2 * std::log(theta));
}

double scaled(double frequency, std::int64_t pair, double theta,
              std::int64_t dims, const yarn_rope_scaling& s) {
  auto low = pair_that_turns(s.beta_fast, theta, dims, s.original_max_positions);
  auto high =
      pair_that_turns(s.beta_slow, theta, dims, s.original_max_positions);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dims - 1));
  if (low == high) high += 0.001;
  const auto stretched = std::clamp(
      (static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
  return frequency * (1 - stretched) + frequency / s.factor * stretched;
}

}  // namespace

kernels::rotary_table make_rotary_table(const model_config& config,
                                        std::int64_t positions, int which) {
  const auto half = config.rotated_dims() / 2;
  const auto theta =
      which == 0 ? config.rope_theta : *config.windowed_rope_theta;
  auto cos = at::empty({positions, half}, at::kFloat);
  auto sin = at::empty({positions, half}, at::kFloat);
  auto* c = cos.data_ptr<float>();
  auto* s = sin.data_ptr<float>();
  const auto magnitude =
      static_cast<float>(which == 0 ? config.rope_magnitude : 1);
  for (std::int64_t i = 0; i < half; ++i) {
    double frequency =
        1 / std::pow(theta, static_cast<double>(2 * i) /
                                static_cast<double>(2 * half));
    if (which == 0) {
      frequency /= config.rope_factor;
      if (config.rope_scaling)
        frequency = scaled(frequency, *config.rope_scaling);
      if (config.yarn)
        frequency = scaled(frequency, i, theta, 2 * half, *config.yarn);
      if (!config.rope_divisors.empty())
        frequency /= config.rope_divisors[static_cast<std::size_t>(i)];
    }
    // The angle is a float32 product there: at position 100,000 the choice
    // shows in the logits.
    const auto f = static_cast<float>(frequency);
    for (std::int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * f;
      c[p * half + i] = std::cos(angle) * magnitude;
      s[p * half + i] = std::sin(angle) * magnitude;
    }
  }
  return {cos, sin};
}

}  // namespace t2
