#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adaptation/leak_guard.hpp"
#include "adaptation/svf_norm.hpp"
#include "config/result.hpp"
#include "model/model_config.hpp"
#include "model/projection.hpp"

namespace t2 {

/// One vector z per adapted projection of one base. Immutable once made; any
/// thread.
struct expert {
  std::string name{};
  std::int64_t version = 0;      // 0: not in a store
  std::string base{};            // fingerprint
  svf_norm norm = svf_norm::none;
  svf_targets targets = svf_targets::all;
  at::Tensor z{};                // float32 [layout.total()], CPU, finite
  std::string provenance = "{}"; // JSON
  std::optional<seen_prompts> seen{};  // none: it was not recorded
};
using expert_ref = std::shared_ptr<const expert>;

/// What the metadata of an expert file says, before a base is at hand.
struct expert_header {
  std::string base;  // fingerprint
  svf_norm norm = svf_norm::none;
  svf_targets targets = svf_targets::all;
  std::string provenance = "{}";
  std::optional<seen_prompts> seen{};
};

/// The expert file (docs/formats.md) of `e`; the same expert gives the same
/// bytes. Name and version are the store's and not in it.
result<std::vector<std::byte>> serialise_expert(const expert& e,
                                                const model_config& config);

/// Reads the metadata alone. `label` stands for the file in errors
/// (ec::corrupt).
result<expert_header> read_expert_header(std::span<const std::byte> bytes,
                                         const std::string& label);

/// Reads an expert file made for the base with this config and fingerprint.
/// Missing, extra or wrong tensors and values that are not finite are
/// ec::corrupt, another base is ec::incompatible and names both fingerprints.
/// Name and version are left empty.
result<expert> parse_expert(std::span<const std::byte> bytes,
                            const std::string& label,
                            const model_config& config,
                            std::string_view fingerprint);

}  // namespace t2
