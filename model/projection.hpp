#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.hpp"
#include "model/model_config.hpp"

namespace t2 {

/// The linear maps of a decoder layer, in the order that every list of
/// projections keeps: by layer, and within a layer as below.
enum class projection_kind : std::uint8_t {
  query, key, value, output, gate, up, down
};

/// Which projections an expert rescales (the paper's ablation).
enum class svf_targets : std::uint8_t { attention, mlp, all };

std::string_view to_string(svf_targets targets);
result<svf_targets> parse_svf_targets(std::string_view text);

/// One weight W (out × in) with rank r = min(out, in) singular values.
struct projection {
  std::int64_t layer = 0;
  projection_kind kind = projection_kind::query;
  std::string weight;  // its name in the checkpoint
  std::int64_t out_features = 0;
  std::int64_t in_features = 0;

  std::int64_t rank() const { return std::min(out_features, in_features); }
};

/// The projections that an expert rescales, and where the singular values of
/// each lie in one flat vector of all of them.
class svf_layout {
 public:
  svf_layout(const model_config& config, svf_targets targets);

  svf_targets targets() const { return targets_; }
  const std::vector<projection>& projections() const { return projections_; }
  std::size_t size() const { return projections_.size(); }
  /// Entries of projection p: [offset(p), offset(p) + projections()[p].rank()).
  std::int64_t offset(std::size_t p) const { return offsets_[p]; }
  /// Length of the flat vector.
  std::int64_t total() const { return offsets_.back(); }
  /// Index of a projection, or -1 where it is not adapted.
  std::int64_t find(std::int64_t layer, projection_kind kind) const;

 private:
  svf_targets targets_;
  std::vector<projection> projections_;
  std::vector<std::int64_t> offsets_;  // size() + 1
  std::array<std::int64_t, 7> place_{};  // of a kind in its layer, or -1
  std::int64_t per_layer_ = 0;
};

}  // namespace t2
