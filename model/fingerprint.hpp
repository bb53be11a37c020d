#pragma once

#include <filesystem>
#include <string>

#include "config/result.hpp"
#include "model/checkpoint.hpp"
#include "model/model_config.hpp"
#include "model/safetensors.hpp"

namespace t2 {

/// SHA-256 of a tensor's bytes as stored, 64 hexadecimal digits.
std::string tensor_sha256(const tensor_view& view);

/// Which base model this is: 64 hexadecimal digits over the canonical config
/// and name, dtype, shape and bytes of every tensor in the order of their
/// names; the same whatever the sharding (docs/formats.md). Reads all weights,
/// on all cores.
std::string base_fingerprint(const checkpoint& weights,
                             const model_config& config);

/// The same, remembered in `cache_folder`/fingerprints.json for as long as the
/// model's config and name, size and modification time (ns) of each weight file
/// stay the same. A cache that is missing, corrupt or cannot be written costs
/// the time to read the weights again, and is no error; weight files that have
/// gone are (ec::io).
result<std::string> fingerprint_base(const checkpoint& weights,
                                     const model_config& config,
                                     const std::filesystem::path& cache_folder);

}  // namespace t2
