#include "model/rotary.hpp"

#include <ATen/ops/empty.h>

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
  for (std::int64_t i = 0; i < half; ++i) {
    double frequency =
        1 / std::pow(theta, static_cast<double>(2 * i) /
                                static_cast<double>(2 * half));
    if (which == 0) {
      frequency /= config.rope_factor;
      if (config.rope_scaling)
        frequency = scaled(frequency, *config.rope_scaling);
    }
    // The angle is a float32 product there: at position 100,000 the choice
    // shows in the logits.
    const auto f = static_cast<float>(frequency);
    for (std::int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * f;
      c[p * half + i] = std::cos(angle);
      s[p * half + i] = std::sin(angle);
    }
  }
  return {cos, sin};
}

}  // namespace t2
