#include <cmath>

#include "adaptation/few_shot_search.hpp"
#include "adaptation/optimiser.hpp"

namespace t2 {
namespace {

result<void> between(const char* name, double value, double low, double high) {
  if (std::isfinite(value) && value >= low && value <= high) return {};
  return error{ec::invalid_argument,
               std::string{"search."} + name + ": expected " +
                   std::to_string(low) + " to " + std::to_string(high) +
                   ", found " + std::to_string(value)};
}

}  // namespace

result<void> few_shot_options::validate() const {
  const result<void> checks[] = {
      between("population", static_cast<double>(population), 2, 4096),
      between("elite", elite, 0, 1),
      between("sigma", sigma, 1e-6, 100),
      between("iterations", static_cast<double>(iterations), 1, 10000),
      between("tokens", static_cast<double>(tokens), 0, 1e15),
      between("seconds", seconds, 0, 1e9),
      between("survivors", static_cast<double>(survivors), 1, 1024),
      between("preselect", static_cast<double>(preselect), 0, 1024),
      between("standard_errors", standard_errors, 0, 100),
      between("delta_bytes", static_cast<double>(delta_bytes), 1, 1e15),
      sampling.validate(),
  };
  for (const auto& check : checks)
    if (!check) return check.error();
  if (folds != 0)
    if (auto check = between("folds", static_cast<double>(folds), 2, 1000);
        !check)
      return check.error();
  if (auto known = make_optimiser(optimiser, {}); !known) return known.error();
  return {};
}

}  // namespace t2
