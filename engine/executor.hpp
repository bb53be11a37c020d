#pragma once

#include <memory>

#include "config/result.hpp"
#include "engine/delta_table.hpp"
#include "engine/step.hpp"
#include "model/adapted_weights.hpp"

namespace t2 {

/// Computes steps: owns the store of keys and values, and knows nothing of who
/// asked. One thread, the model's.
class executor {
 public:
  /// `net` outlives it. `pages`: of the store.
  executor(transformer& net, std::int64_t pages);

  /// `weights`: what all rows run under in place of their slots' mixtures
  /// (training); null: none. ec::internal: out of memory, or a library's refusal.
  result<step_output> run(step work, const delta_table& deltas,
                          const adapted_weights* weights = nullptr);

 private:
  result<step_output> compute(step work, const delta_table& deltas,
                              const adapted_weights* weights);

  transformer& net_;
  std::unique_ptr<kv_store> store_;
};

}  // namespace t2
