#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "config/result.hpp"
#include "model/linear_plan.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// The maps of a layer whose inputs are shared: q k v; o; gate up; down.
inline constexpr std::size_t linears_per_layer = 4;
/// Of each, how much of all layers' weights is adapted: 0 to 1.
using linear_shares = std::array<double, linears_per_layer>;
linear_shares adapted_share(const model_config& config,
                            const svf_layout& layout);

/// Rows of a step by what they run under, and how much of the maps is adapted.
struct plan_question {
  std::int64_t base_rows = 0;
  std::span<const std::int64_t> mixture_rows = {};  // rows of each mixture
  linear_shares adapted{};
};

/// What the plans of a step cost: seconds of all layers' linear maps, by rows.
/// Measured on this machine for this model's shape, or estimated from bytes and
/// flops. A value; any thread.
class plan_costs {
 public:
  static constexpr std::array<std::int64_t, 10> grid{1,  2,  4,   8,   16,
                                                     32, 64, 128, 256, 512};
  /// Seconds at each of the grid's rows.
  using curve = std::array<double, grid.size()>;
  /// Of one map in all layers: every row under the base, under the factored
  /// plan, under the delta plan; and building its dense copy.
  struct map_costs {
    curve base{}, factored{}, delta{};
    double build = 0;
  };

  static plan_costs estimate(const model_config& config, c10::ScalarType dtype);
  /// Runs every map at every number of rows: seconds for a small model, up to
  /// a minute for a large one. The calling thread runs tensors meanwhile.
  static plan_costs measure(const model_config& config, c10::ScalarType dtype,
                            c10::Device device);
  /// The measurement for this machine, shape, type and number of threads out of
  /// `folder`, where it is kept once it has been made.
  static plan_costs load_or_measure(const std::filesystem::path& folder,
                                    const model_config& config,
                                    c10::ScalarType dtype, c10::Device device);

  double seconds(linear_plan plan, const plan_question& asked) const;
  /// Seconds to make one mixture's dense copy.
  double build_seconds(const linear_shares& adapted) const;
  /// The cheaper of the plans that need no copy.
  linear_plan without_copies(const plan_question& asked) const;
  bool measured() const { return measured_; }

  std::string to_json() const;
  static std::optional<plan_costs> from_json(const std::string& text);

 private:
  std::array<map_costs, linears_per_layer> maps_{};
  bool measured_ = false;
};

}  // namespace t2
