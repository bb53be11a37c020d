#pragma once

#include <span>
#include <utility>

#include "actors/client.hpp"
#include "engine/engine.hpp"
#include "store/records.hpp"

namespace t2 {

/// Summarises the z of a stored expert, projection by projection. A job of the
/// engine, in one slice: only the model knows the shapes.
class heatmap_job : public engine_job {
 public:
  explicit heatmap_job(store_expert_version version)
      : version_(std::move(version)) {}

  bool advance(language_model& model) override;
  /// Once advance() returned false.
  const result<expert_heatmap>& outcome() const { return outcome_; }

 private:
  store_expert_version version_;
  result<expert_heatmap> outcome_ =
      error{ec::cancelled, "the heatmap was cancelled"};
};

/// One row out of a projection's z, greatest singular value first; not empty.
heatmap_row summarise_z(std::span<const float> z);

}  // namespace t2
